"""The network computed in the page: its layers, its preprocessing and its controls."""
