"""Predicts from new raw data."""
