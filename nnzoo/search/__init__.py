"""Searches for good settings: the learning rate of a config, by a range test."""
