"""The files of a run: the run directory, its checkpoint and its artifact. No other package writes them."""
