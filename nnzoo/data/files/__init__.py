"""Finds files, reads their bytes and text, and counts repairs."""
