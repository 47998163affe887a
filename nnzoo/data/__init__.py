"""Data sources, splits and preprocessing: from raw data to the tensors that a network takes.

A source returns a `Dataset`: tensors, splits and names. Everything specific to a file format, a download or a formula
is handled by the source; later steps do not know where the data came from.

    source -> divide -> Preprocess.fit on train -> Preprocess.transform -> the training loop

A source is a function with keyword arguments. `divide` adds the splits that the source does not provide. `Preprocess`
is fitted only on the training samples and saved with the weights. Every problem with the data raises a `DataError`.
"""

import json
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from nnzoo.data.arrays import ArraysReader, load_arrays, load_arrays_in_memory
from nnzoo.data.baseline import baseline
from nnzoo.data.bundled import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.files.on_disk import OnDisk
from nnzoo.data.fitting import Normalize
from nnzoo.data.images import ImageReader, load_image_folder, load_torchvision_set
from nnzoo.data.language import LanguageReader, load_language
from nnzoo.data.memory import DataInMemory, data_in_memory
from nnzoo.data.points import PointsReader
from nnzoo.data.preprocess import Preprocess
from nnzoo.data.reader import Layout, Reader, Samples, Schema, Task
from nnzoo.data.series import SeriesReader, load_series
from nnzoo.data.split import Division, divide, drop_repeats, missing_classes
from nnzoo.data.tables import CsvReader, load_csv, load_frame
from nnzoo.data.text import TextReader, load_text
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
    "baseline",
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
