"""The order of batches, and reading those that do not fit into memory."""
