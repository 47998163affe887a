"""Searches for good settings: hyperparameters by many trials (sweep), the learning rate by a range test (lr_*)."""
