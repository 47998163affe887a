"""Tables: files -> cells -> columns, with types inferred from the training rows -> features."""

from nnzoo.data.tables.csv_reader import CsvReader
from nnzoo.data.tables.source import load_csv, load_frame

__all__ = ["CsvReader", "load_csv", "load_frame"]
