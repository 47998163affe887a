"""User texts: files -> texts with labels -> tokens of the vocabulary of the training texts."""

from nnzoo.data.text.source import load_text
from nnzoo.data.text.text_reader import TextReader

__all__ = ["TextReader", "load_text"]
