"""Mixed precision and compilation: the same training, faster."""
