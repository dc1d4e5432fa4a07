"""Processes that are killed, what they tell while they live, and what is found afterwards."""
