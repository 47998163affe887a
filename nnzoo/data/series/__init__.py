"""Time series: files -> rows in time order -> windows and the targets that follow them."""

from nnzoo.data.series.source import SeriesReader, load_series

__all__ = ["SeriesReader", "load_series"]
