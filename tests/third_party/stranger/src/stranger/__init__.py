"""Every part of holdfast that can be replaced, replaced by somebody else.

Each entry point names a module of its own, so that a profile imports only what it uses.
"""
