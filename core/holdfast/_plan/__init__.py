"""Every decision of the engine, as pure functions over values: no I/O, no clock, no randomness."""
