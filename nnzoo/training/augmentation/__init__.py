"""Augmentation: random changes to training batches."""
