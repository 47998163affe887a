"""Compares finished runs: their settings, their metrics, and whether the metrics differ by more than chance."""
