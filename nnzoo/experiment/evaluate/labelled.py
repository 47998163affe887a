"""Reads new labelled data for a trained network, from a file or from Python."""

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
        DataError: The samples can't be read, or are of a different kind than the training data.
    """
    return trained.reader.read([path], trained.metadata.data_schema, labelled=True)


def to_data_in_memory(trained: TrainedModel, data: Any) -> DataInMemory:
    """Converts data from Python; a data frame has the target columns of the training data.

    Raises:
        UsageError: The argument has none of the supported forms of data.
        DataError: A torch Dataset can't be read.
    """
    source = trained.config.data
    has_columns = is_table(data) and not (isinstance(data, Mapping) and is_frame(data.get("x")))
    return data_in_memory(data, source.target if isinstance(source, TableSource) and has_columns else None)


def check_is_training_data(trained: TrainedModel, given: DataInMemory) -> None:
    """Checks that data from Python is the training data.

    Raises:
        DataError: The checksum differs.
    """
    source = trained.config.data
    if not isinstance(source, PythonSource) or source.digest != given.digest():
        raise DataError(
            "this is not the training data of the network (the checksum differs), so it has no such splits. Leave out "
            "split= to evaluate on all of it.",
            where="data",
        )


def labelled_samples(trained: TrainedModel, given: DataInMemory) -> Samples:
    """Returns new labelled samples from Python.

    Raises:
        UsageError: The data has splits.
        DataError: The samples are of a different kind than the training data.
    """
    schema = trained.metadata.data_schema
    if len(given.frames) > 1 or any(name.endswith(("_val", "_test")) for name in given.arrays):
        raise UsageError("new data must not have splits. Pass one x and y, or one data frame.", where="data")
    if given.frames:
        rows = trained.reader.from_labelled_rows(given.frames["train"], schema)
        if rows is not None:
            return rows
        raise DataError(
            "a data frame can only be used with a network that was trained on a table. Pass (x, y).", where="data"
        )
    x, y = given.arrays["x"], given.arrays["y"]
    samples = trained.samples_of(x, given.arrays.get("lengths"))
    targets = encode_targets_like(y, schema, Split(samples.inputs, torch.empty(0), samples.lengths), where="data: y")
    return replace(samples, targets=targets)
