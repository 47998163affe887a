"""Trains the network of a config and writes a run directory."""
