"""Distributed training of one network: each process computes a share of every batch."""
