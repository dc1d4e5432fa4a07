"""Filters, schemas and rows made at random, to see whether everybody gives the same answer."""
