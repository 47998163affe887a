"""Every source and reader, and what their datasets have in common: the names of the package `nnzoo.data`."""

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from nnzoo.data.arrays import ArraysReader, load_arrays, load_arrays_in_memory
from nnzoo.data.bundled import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.files.on_disk import OnDisk
from nnzoo.data.fitting import Normalize
from nnzoo.data.images.folder import load_image_folder
from nnzoo.data.images.image_reader import ImageReader
from nnzoo.data.images.torchvision_sets import load_torchvision_set
from nnzoo.data.language import LanguageReader, load_language
from nnzoo.data.memory import DataInMemory, data_in_memory
from nnzoo.data.points import PointsReader
from nnzoo.data.preprocess import Preprocess
from nnzoo.data.reader import Layout, Reader, Samples, Schema, Task
from nnzoo.data.series.source import SeriesReader, load_series
from nnzoo.data.split import Division, Fold, divide, drop_repeats, missing_classes
from nnzoo.data.tables.csv_reader import CsvReader
from nnzoo.data.tables.source import load_csv, load_frame
from nnzoo.data.text.source import load_text
from nnzoo.data.text.text_reader import TextReader
from nnzoo.data.toy import (
    GATES,
    load_adding,
    load_blobs,
    load_circles,
    load_gate,
    load_moons,
    load_random,
    load_sine,
    load_spirals,
)
from nnzoo.data.trees import TreeReader, load_trees

__all__ = [
    "GATES",
    "ArraysReader",
    "CsvReader",
    "DataInMemory",
    "Dataset",
    "Division",
    "Fold",
    "ImageReader",
    "LanguageReader",
    "Layout",
    "Normalize",
    "OnDisk",
    "PointsReader",
    "Preprocess",
    "Reader",
    "Samples",
    "Schema",
    "SeriesReader",
    "Split",
    "Task",
    "TextReader",
    "TreeReader",
    "data_in_memory",
    "divide",
    "drop_repeats",
    "load_adding",
    "load_arrays",
    "load_arrays_in_memory",
    "load_blobs",
    "load_breast_cancer",
    "load_circles",
    "load_csv",
    "load_diabetes",
    "load_digits",
    "load_frame",
    "load_gate",
    "load_image_folder",
    "load_iris",
    "load_language",
    "load_moons",
    "load_random",
    "load_series",
    "load_sine",
    "load_spirals",
    "load_text",
    "load_torchvision_set",
    "load_trees",
    "load_wine",
    "missing_classes",
    "parse_reader",
    "reader_of",
]

AnyReader = Annotated[
    ArraysReader
    | CsvReader
    | ImageReader
    | LanguageReader
    | PointsReader
    | TextReader
    | SeriesReader
    | TreeReader,
    Field(discriminator="kind"),
]  # fmt: skip
"""Every reader, by its kind."""

_READERS: TypeAdapter[AnyReader] = TypeAdapter(AnyReader)


def parse_reader(values: dict[str, Any]) -> Reader:
    """Returns the reader described by the plain values in an artifact.

    Raises:
        ValidationError: The values do not describe a reader.
    """
    # Through JSON: in strict mode Python lists are not accepted as tuples, but JSON arrays are.
    return _READERS.validate_json(json.dumps(values))


def reader_of(dataset: Dataset) -> Reader:
    """Returns the reader for new data.

    For a dataset without files this is `PointsReader` if the features have names, else `ArraysReader`.
    """
    if dataset.reader is not None:
        return dataset.reader
    reader = PointsReader()
    return reader if reader.fits(dataset.schema) else ArraysReader()
