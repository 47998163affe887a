"""Mixed precision and compilation."""
