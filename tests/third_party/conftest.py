"""What runs only where the stranger is installed is run by ``test_third_party.py``."""

from __future__ import annotations

collect_ignore = ["stranger", "replaced"]
