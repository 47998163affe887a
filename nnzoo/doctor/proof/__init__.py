"""Proves fixes: trains the unchanged and the fixed config with the same seeds, and compares their scores."""
