"""The order of batches, and the reading of data that does not fit in memory."""
