"""Predicts for raw new data."""
