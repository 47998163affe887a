"""Arrays of one's own: files -> arrays of each split -> checked tensors, or rows that stay in their file."""

from nnzoo.data.arrays.source import ArraysReader, load_arrays, read_arrays

__all__ = ["ArraysReader", "load_arrays", "read_arrays"]
