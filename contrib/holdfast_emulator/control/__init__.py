"""What a tester steers the emulator with: faults, limits, the pages under ``/_emulator/``."""
