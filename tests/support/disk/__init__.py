"""Disks that lose power and disks that fail, under the real storage and the whole engine."""
