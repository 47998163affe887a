"""New labelled data for a trained network: from a file, or as Python passes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from nnzoo.config.data import PythonSource, TableSource
from nnzoo.data import DataInMemory, Samples, Split, data_in_memory
from nnzoo.data.arrays import encode_targets_like
from nnzoo.data.memory import is_frame
from nnzoo.data.tables.frames import is_table
from nnzoo.errors import DataError, UsageError
from nnzoo.experiment.load import TrainedModel


def read_labelled(trained: TrainedModel, path: Path) -> Samples:
    """Returns the labelled samples of a file or folder.

    Raises:
        DataError: They can't be read, or are not like the training data.
    """
    return trained.reader.read([path], trained.metadata.data_schema, labelled=True)


def in_memory_of(trained: TrainedModel, data: Any) -> DataInMemory:
    """Tells what Python passed; a frame has the target columns of the training.

    Raises:
        UsageError: It is not data.
        DataError: A torch Dataset can't be read.
    """
    source = trained.config.data
    has_columns = is_table(data) and not (isinstance(data, Mapping) and is_frame(data.get("x")))
    return data_in_memory(data, source.target if isinstance(source, TableSource) and has_columns else None)


def check_is_of_training(trained: TrainedModel, given: DataInMemory) -> None:
    """Checks that data from Python is what the network was trained on.

    Raises:
        DataError: It is not, by checksum.
    """
    source = trained.config.data
    if not isinstance(source, PythonSource) or source.digest != given.digest():
        raise DataError(
            "is not the data that the network was trained on (by checksum), so that it has no such splits. Leave out "
            "split= to measure on all of it.",
            where="data",
        )


def labelled_samples(trained: TrainedModel, given: DataInMemory) -> Samples:
    """Returns new labelled samples that Python passed.

    Raises:
        UsageError: They are divided into splits.
        DataError: They are not like the training data.
    """
    schema = trained.metadata.data_schema
    if len(given.frames) > 1 or any(name.endswith(("_val", "_test")) for name in given.arrays):
        raise UsageError("expected new data without splits of its own.", where="data")
    if given.frames:
        samples = trained.reader.from_labelled_rows(given.frames["train"], schema)
        if samples is not None:
            return samples
        raise DataError("a data frame is for networks that were trained on a table. Pass (x, y).", where="data")
    x, y = given.arrays["x"], given.arrays["y"]
    found = trained.samples_of(x, given.arrays.get("lengths"))
    targets = encode_targets_like(y, schema, Split(found.inputs, torch.empty(0), found.lengths), where="data: y")
    return replace(found, targets=targets)
