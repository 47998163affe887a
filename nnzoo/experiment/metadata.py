"""The metadata of an artifact: all that using the network on another machine needs besides its tensors."""

from __future__ import annotations

import math
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from nnzoo.config.base import Count, Items, Section
from nnzoo.config.facts import Layout, Per, Task
from nnzoo.data import Schema, parse_reader


class Metadata(Section):
    """The JSON text of best.safetensors and last.safetensors. No times, no absolute paths, no name of the run."""

    config: dict[str, Any] = Field(description="resolved; paths by their last part, class weights as numbers")
    task: Task = Field(description="what is predicted")
    layout: Layout = Field(description="how the axes of raw inputs are read")
    per: Per = Field("sample", description="what has a target: each sample, each step of it, or each node of a tree")
    classes: Items[str] = Field(description="class or label names; empty for regression")
    feature_names: Items[str] = Field(description="names of the last axis of raw inputs; empty where it has none")
    target_names: Items[str] = Field(description="names of regression targets")
    target_mean: Items[float] = Field(description="of the train split: share of each class or label, mean of targets")
    num_tokens: Annotated[int, Field(ge=0)] = Field(description="tokens are smaller than this; 0: no tokens")
    input_shape: Items[Count] = Field(description="of one raw sample")
    network_input_shape: Items[Count] = Field(description="of one sample as the network gets it")
    num_outputs: Count = Field(description="output units")
    reader: dict[str, Any] = Field(description="how raw data is read, and what was found in that of training")
    best_epoch: int = Field(description="of the best weights; 0: no epoch was finished")
    metrics: dict[str, float | None] = Field(description="of the best weights")
    versions: dict[str, str] = Field(description="of what made it")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = self.target_names if self.task == "regression" else self.classes
        binary = self.task == "classification" and len(names) == 2
        fits = len(names) == len(self.target_mean) == self.num_outputs
        if not (fits or (binary and len(self.target_mean) == 2 and self.num_outputs == 1)):
            raise ValueError("the number of outputs is not that of the names")
        # Preprocessing may leave components out, and adds none; tokens and trees have none.
        given, taken = math.prod(self.input_shape), math.prod(self.network_input_shape)
        if taken > given or (self.layout in ("tokens", "tree") and self.network_input_shape != self.input_shape):
            raise ValueError("the network takes other inputs than there are")
        if not parse_reader(self.reader).fits(self.data_schema):
            raise ValueError("the reader gives other samples than these")
        return self

    @property
    def data_schema(self) -> Schema:
        """The schema that new samples must have."""
        return Schema(**{name: getattr(self, name) for name in Schema._fields})
