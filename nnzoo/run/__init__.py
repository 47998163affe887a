"""What is on disk: the run directory, its checkpoint and its artifact. Nothing else writes there."""
