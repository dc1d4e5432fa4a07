"""The suites: they need pytest, so nothing else imports them."""
