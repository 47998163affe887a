"""Distributed training: one network, with a share of each batch per process."""
