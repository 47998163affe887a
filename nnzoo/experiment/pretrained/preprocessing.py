"""Preprocessing that belongs to pretrained weights (`preprocess.normalize: pretrained`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Never

import torch
from torch import Tensor, nn

from nnzoo import log
from nnzoo.builders import build_preprocess
from nnzoo.config import Config, dump
from nnzoo.config.document import Path as KeyPath
from nnzoo.config.load import problems_of
from nnzoo.config.model import PRETRAINED, Torchvision
from nnzoo.data import Dataset, Preprocess, parse_reader, reader_of
from nnzoo.errors import CheckpointError, UsageError
from nnzoo.experiment.metadata import read_weights
from nnzoo.experiment.pretrained.matching import MismatchError, Signature, match_inputs
from nnzoo.experiment.pretrained.pretrained import find_pretrained
from nnzoo.models.torchvision_weights import preprocessing_of
from nnzoo.run.torch_file import SUFFIXES as TORCH_SUFFIXES

NORMALIZE: KeyPath = ("preprocess", "normalize")
PER_COLUMN = frozenset({"shift", "scale", "clip", "quantiles"})
"""The fitted transforms with one value, or one row of quantiles, per column or channel."""


def fit_preprocess(
    config: Config, dataset: Dataset, runs_dir: str | Path = "runs", *, saved: Mapping[str, Any] | None = None
) -> Preprocess:
    """Fits the preprocessing to the train split. With `normalize: pretrained`, that of inputs is not fitted but copied.

    Inputs are matched with those of the checkpoint by name, as for the weights. New inputs are fitted to the train
    split. Regression targets are always scaled by the train split.

    Args:
        config: The resolved config.
        dataset: The dataset, before preprocessing.
        runs_dir: The directory in which run names are looked up.
        saved: The checkpoint of the same run, if it is resumed: the pretrained weights may no longer exist.

    Raises:
        ConfigError: The pretrained weights have no preprocessing, or it does not fit this data.
        CheckpointError: A checkpoint is damaged.
    """
    if config.preprocess.normalize != "pretrained":
        return build_preprocess(config, dataset)
    if saved is not None:
        preprocess = Preprocess(saved.get("preprocess"))
        if not _fits(preprocess.state_dict(), dataset):
            raise CheckpointError("does not fit this run: its preprocessing is for other inputs.", where="resume")
        return preprocess
    fitted = build_preprocess(_changed(config, normalize="none", pca=None, zca=False), dataset).state_dict()
    if isinstance(config.model, Torchvision) and config.model.weights is not None:
        inherited = _of_torchvision(config, config.model, dataset)
    else:
        inherited = _of_checkpoint(config, dataset, Path(runs_dir))
    return Preprocess({**fitted, **inherited})


def _changed(config: Config, **changes: Any) -> Config:
    return config.model_copy(update={"preprocess": config.preprocess.model_copy(update=changes)})


def _of_torchvision(config: Config, model: Torchvision, dataset: Dataset) -> dict[str, Tensor]:
    """Returns the mean and standard deviation of the channels that the weights were trained with."""
    assert model.weights is not None
    try:
        expected = preprocessing_of(model.arch, model.weights)
    except UsageError as error:
        raise problems_of(config, [(("model", "weights"), error.message)]) from None
    if dataset.layout != "image" or dataset.input_shape[0] != len(expected.mean):
        _refuse(config, f"the weights are for images of {len(expected.mean)} channels, got {dataset.input_shape}.")
    height, width = dataset.input_shape[1:]
    if (height, width) != expected.size:
        log.warning(
            "model.weights: %s was trained on images of %d x %d pixels, and these have %d x %d",
            model.arch,
            *expected.size,
            height,
            width,
        )
    values = [torch.tensor(each, dtype=torch.float64).view(-1, 1, 1) for each in (expected.mean, expected.std)]
    return {"shift": values[0], "scale": values[1]}


def _of_checkpoint(config: Config, dataset: Dataset, runs_dir: Path) -> dict[str, Tensor]:
    """Returns the fitted transforms of the inputs of `model.pretrained`, for the inputs of this data."""
    if config.model.pretrained is None:
        _refuse(config, "a custom module has no preprocessing that nnzoo knows. Use standardize or none.")
    path = find_pretrained(config, config.model.pretrained, runs_dir)
    if path.suffix in TORCH_SUFFIXES:
        _refuse(config, f"{path} is a state dict, which has no preprocessing. Use standardize or none.")
    _, fitted, metadata = read_weights(path)
    steps = metadata.config.get("preprocess")
    steps = steps if isinstance(steps, dict) else {}
    own = dump(config.preprocess)
    for key in ("pca", "zca"):
        if own[key] != steps.get(key, own[key]):
            _refuse(config, f"{key} is {own[key]}, but was {steps[key]} in {path}. Set preprocess.{key} as there.")
    checkpoint = Signature(metadata.data_schema, parse_reader(metadata.reader), own["pca"] is not None)
    data = Signature(dataset.schema, reader_of(dataset), own["pca"] is not None)
    inherited = {name: each for name, each in fitted.items() if not name.startswith("target_")}
    if checkpoint.schema.layout != data.schema.layout:
        _refuse(config, f"{path} is for {checkpoint.schema.layout}, but this data is {data.schema.layout}.")
    try:
        match, _ = match_inputs(checkpoint, data, can_match=not own["zca"])
    except MismatchError as error:
        raise problems_of(config, [(PRETRAINED, f"{path}: {error}")]) from None
    if match is not None and not PER_COLUMN.isdisjoint(inherited):
        # New inputs are normalized as those of the checkpoint were, by the train split.
        own_fit = build_preprocess(_changed(config, normalize=str(steps.get("normalize", "standardize"))), dataset)
        inherited |= _by_name(inherited, own_fit.state_dict(), match.sources)
    if not _fits(inherited, dataset):
        shape = tuple(metadata.input_shape)
        _refuse(config, f"{path} is for inputs of the shape {shape}, but those of this data are {dataset.input_shape}.")
    return inherited


def _by_name(inherited: Mapping[str, Tensor], own: Mapping[str, Tensor], sources: Tensor) -> dict[str, Tensor]:
    """Returns the transforms of the columns of this data.

    Args:
        inherited: The transforms of the columns of the checkpoint.
        own: The transforms that were fitted to this data.
        sources: (F,) the index of each column in the checkpoint; -1 for a new column.
    """
    found = {}
    for name in sorted(PER_COLUMN & inherited.keys() & own.keys()):
        values = own[name]
        if name == "quantiles":  # (Q, F), with another Q for another number of samples
            size = len(inherited[name])
            values = nn.functional.interpolate(values.T[None], size=size, mode="linear", align_corners=True)[0].T
        found[name] = torch.where(sources >= 0, inherited[name][..., sources.clamp_min(0)], values)
    return found


def _refuse(config: Config, problem: str) -> Never:
    raise problems_of(config, [(NORMALIZE, problem)])


def _fits(fitted: Mapping[str, Tensor], dataset: Dataset) -> bool:
    """Whether fitted transforms of inputs have the sizes of a dataset's inputs."""
    shape = dataset.input_shape
    is_image = dataset.layout == "image"
    columns = (shape[0], 1, 1) if is_image else shape[-1:]
    axes = 3 if is_image else 1
    flat = math.prod(shape) if is_image else shape[-1]
    return all(fitted[name].shape[-axes:] == columns for name in PER_COLUMN & fitted.keys()) and all(
        fitted[name].shape[:1] == (flat,) for name in ("mean", "components", "whitening") if name in fitted
    )
