"""Losses, metrics, and what the outputs of a network mean."""
