"""Files on disk: the run directory, its checkpoint and its artifact. No other module writes there."""
