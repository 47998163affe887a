"""Arrays of one's own: files -> arrays of each split -> checked tensors, or rows that stay in their file."""

from nnzoo.data.arrays.source import ArraysReader, encode_targets_like, load_arrays, load_arrays_in_memory, read_arrays

__all__ = ["ArraysReader", "encode_targets_like", "load_arrays", "load_arrays_in_memory", "read_arrays"]
