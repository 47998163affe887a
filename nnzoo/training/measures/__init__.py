"""Losses, metrics, and the decoding of outputs."""
