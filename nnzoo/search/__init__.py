"""Hyperparameter search: trials of one config with different values, planned, trained and compared."""
