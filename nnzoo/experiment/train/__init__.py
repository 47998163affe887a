"""Trains: from a config to a run directory."""
