"""The order of batches, and reading data that does not fit in memory."""
