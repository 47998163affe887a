"""User arrays: files -> arrays of each split -> checked tensors, or rows that stay on disk."""

from nnzoo.data.arrays.source import ArraysReader, encode_targets_like, load_arrays, load_arrays_in_memory, read_arrays

__all__ = ["ArraysReader", "encode_targets_like", "load_arrays", "load_arrays_in_memory", "read_arrays"]
