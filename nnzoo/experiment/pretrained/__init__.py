"""Starts training from the weights of another run."""
