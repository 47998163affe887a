"""Measures a trained network."""
