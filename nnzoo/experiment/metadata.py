"""The metadata of an artifact: everything, except the tensors, that is needed to use the network elsewhere."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator
from torch import Tensor

from nnzoo.config.base import Count, Items, Section
from nnzoo.config.facts import Layout, Per, Task
from nnzoo.data import Schema, parse_reader
from nnzoo.errors import CheckpointError
from nnzoo.run.artifact import load_artifact


class Metadata(Section):
    """The metadata of best.safetensors and last.safetensors, as JSON, without times, absolute paths and run names."""

    config: dict[str, Any] = Field(description="resolved config, with paths reduced to file names")
    task: Task = Field(description="the task")
    layout: Layout = Field(description="meaning of the axes of raw inputs")
    per: Per = Field("sample", description="whether there is one target per sample, per step or per node of a tree")
    classes: Items[str] = Field(description="class or label names; empty for regression")
    feature_names: Items[str] = Field(description="names of the last axis of raw inputs; empty if there are none")
    target_names: Items[str] = Field(description="names of regression targets")
    target_mean: Items[float] = Field(
        description="fraction of training samples per class or label, or training mean per target"
    )
    num_tokens: Annotated[int, Field(ge=0)] = Field(description="size of the vocabulary; 0 if inputs are not tokens")
    input_shape: Items[Count] = Field(description="shape of one raw sample")
    network_input_shape: Items[Count] = Field(description="shape of one preprocessed sample")
    num_outputs: Count = Field(description="number of output units")
    reader: dict[str, Any] = Field(description="how raw data is read, including what was fitted on the training data")
    best_epoch: int = Field(description="epoch of the best weights; 0 if no epoch was finished")
    metrics: dict[str, float | None] = Field(description="metrics of the best weights")
    data_digests: dict[str, str] = Field(description="SHA-256 of each split before preprocessing")
    versions: dict[str, str] = Field(description="versions of nnzoo and torch")
    folds: Items[dict[str, Any]] = Field(
        (), description="the metadata of each network of a cross-validation; the other fields are those of the first"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = self.target_names if self.task == "regression" else self.classes
        binary = self.task == "classification" and len(names) == 2
        fits = len(names) == len(self.target_mean) == self.num_outputs
        if not (fits or (binary and len(self.target_mean) == 2 and self.num_outputs == 1)):
            raise ValueError("num_outputs, target_mean and the names of the classes or targets differ in number")
        # Preprocessing may drop components but never adds any; it does not change tokens and trees.
        given, taken = math.prod(self.input_shape), math.prod(self.network_input_shape)
        if taken > given or (self.layout in ("tokens", "tree") and self.network_input_shape != self.input_shape):
            raise ValueError("the input shape of the network does not match that of the data")
        if not parse_reader(self.reader).fits(self.data_schema):
            raise ValueError("the reader does not match the other metadata")
        return self

    @property
    def data_schema(self) -> Schema:
        """The schema that new samples must match."""
        return Schema(**{name: getattr(self, name) for name in Schema._fields})


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], Metadata]:
    """Reads weights, fitted preprocessing and metadata from an artifact or a checkpoint.

    Raises:
        CheckpointError: The file is damaged, was not written by nnzoo, or is of a different version.
    """
    artifact = load_artifact(path)
    weights, fitted = artifact.weights, artifact.preprocess
    metadata = parse_metadata(artifact.metadata, path)
    for name, tensor in {**weights, **fitted}.items():
        if not isinstance(tensor, Tensor) or (tensor.is_floating_point() and bool(tensor.isnan().any())):
            raise CheckpointError(f"damaged: {name} contains NaN, or is not a tensor.", where=str(path))
    return weights, fitted, metadata


def parse_metadata(values: dict[str, Any], path: Path) -> Metadata:
    """Returns the metadata in a file.

    Raises:
        CheckpointError: The metadata is not valid.
    """
    try:
        return Metadata.model_validate(values)
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"])) or "metadata"
        raise CheckpointError(f"damaged: the metadata has an invalid {key}.", where=str(path)) from None
