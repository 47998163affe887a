"""Builds the dataset and the fitted preprocessing from their config sections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from nnzoo import data as sources
from nnzoo.config import Config, Facts
from nnzoo.config import data as data_config
from nnzoo.config.base import fields_of
from nnzoo.config.model import Torchvision
from nnzoo.data import DataInMemory, Dataset, Preprocess
from nnzoo.data.dataset import row_slices
from nnzoo.errors import DataError
from nnzoo.models.torchvision_weights import preprocessing_of

SOURCES: dict[str, Callable[..., Dataset]] = {
    "moons": sources.load_moons,
    "circles": sources.load_circles,
    "spirals": sources.load_spirals,
    "blobs": sources.load_blobs,
    "sine": sources.load_sine,
    "adding": sources.load_adding,
    "random": sources.load_random,
    "digits": sources.load_digits,
    "iris": sources.load_iris,
    "wine": sources.load_wine,
    "breast_cancer": sources.load_breast_cancer,
    "diabetes": sources.load_diabetes,
    "arrays": sources.load_arrays,
    "trees": sources.load_trees,
}

DIVIDING_SOURCES: dict[str, Callable[..., Dataset]] = {
    "csv": sources.load_csv,
    "image_folder": sources.load_image_folder,
    "text": sources.load_text,
    "series": sources.load_series,
    "language": sources.load_language,
}
"""Sources that fit something on the training samples while reading, and so divide their samples themselves."""


def build_dataset(config: Config, in_memory: DataInMemory | None = None) -> Dataset:
    """Reads the data and splits it.

    Args:
        config: The config; its `data` section names the source.
        in_memory: The data, if it was passed from Python.

    Raises:
        DataError: The data is missing, damaged, or too small for its splits.
    """
    section = config.data
    dataset = _from_memory(section, in_memory) if isinstance(section, data_config.PythonSource) else _divided(config)
    return sources.drop_repeats(dataset) if section.split.deduplicate else dataset


def _division(split: data_config.Split) -> sources.Division:
    fold = None if split.fold is None else sources.Fold(**fields_of(split.fold))
    return sources.Division(**fields_of(split, "fold"), fold=fold)


def _from_memory(section: data_config.PythonSource, in_memory: DataInMemory | None) -> Dataset:
    """Builds a dataset from data that was passed from Python."""
    if in_memory is None:
        raise DataError(
            "the data was passed from Python and was not saved. Pass it again: data= of nnzoo.train or nnzoo.evaluate.",
            where="data",
        )
    division = _division(section.split)
    fields = fields_of(section, "split", "digest")
    if isinstance(section, data_config.Frame):
        dataset = sources.load_frame(frames=in_memory.frames, division=division, **fields)
    else:
        dataset = sources.divide(sources.load_arrays_in_memory(arrays=in_memory.arrays, **fields), division)
    return dataset if in_memory.weights is None else _weighted(dataset, in_memory)


def _weighted(dataset: Dataset, in_memory: DataInMemory) -> Dataset:
    """Returns the dataset with the weights of the samples, except in splits that were passed separately."""
    is_table = isinstance(dataset.reader, sources.CsvReader)
    if dataset.per != "sample" or (is_table and dataset.layout == "sequence"):
        raise DataError(
            "weights are for data with one target per row. Leave out sample_weight.", where="data: sample_weight"
        )
    given = {"val", "test"} & ({key.removeprefix("x_") for key in in_memory.arrays} | set(in_memory.frames))
    assert in_memory.weights is not None
    weights = torch.from_numpy(in_memory.weights)
    splits = {name: split for name, split in dataset.splits.items() if name not in given}
    rows = {name: torch.arange(len(split)) if split.rows is None else split.rows for name, split in splits.items()}
    mean = weights[rows["train"]].mean()
    if mean == 0:
        raise DataError("all weights of the train split are 0.", where="data: sample_weight")
    return replace(
        dataset,
        splits=dataset.splits
        | {name: replace(split, weights=(weights[rows[name]] / mean).float()) for name, split in splits.items()},
    )


def _divided(config: Config) -> Dataset:
    section = config.data
    fields = fields_of(section, "split", "difference")  # `difference` changes the network, not the data
    if isinstance(section, data_config.ImageFolder):
        fields |= _image_format(config, section)
    division = _division(section.split)
    if section.name in DIVIDING_SOURCES:
        return DIVIDING_SOURCES[section.name](division=division, **fields)
    if isinstance(section, data_config.Gate):
        dataset = sources.load_gate(section.name, **fields)
    elif isinstance(section, data_config.TorchvisionSet):
        dataset = sources.load_torchvision_set(
            section.name, class_names=section.class_names, shape=section.shape, **fields
        )
    else:
        dataset = SOURCES[section.name](**fields)
    if len(dataset.train) == 1 and "split" not in section.model_fields_set:
        return dataset
    return sources.divide(dataset, division)


def _image_format(config: Config, section: data_config.ImageFolder) -> dict[str, Any]:
    """Returns the size and channels of images that are `auto`, if they follow from torchvision's weights."""
    model = config.model
    if config.preprocess.normalize != "pretrained" or not isinstance(model, Torchvision) or model.weights is None:
        return {}
    expected = preprocessing_of(model.arch, model.weights)
    found = {"size": expected.size, "channels": len(expected.mean)}
    return {key: value for key, value in found.items() if getattr(section, key) == "auto"}


def facts_of(config: Config, dataset: Dataset) -> Facts:
    """Returns the facts that follow from the data: task, layout, sizes and automatic choices."""
    known = config.data.facts()
    return Facts(
        task=dataset.task,
        layout=dataset.layout,
        num_classes=len(dataset.classes),
        num_targets=len(dataset.target_names) if dataset.task == "regression" else 0,
        input_shape=dataset.input_shape,
        has_val="val" in dataset.splits,
        has_test="test" in dataset.splits,
        num_train=len(dataset.train),
        normalize=known.normalize,
        scale_target=known.scale_target and dataset.task == "regression",
        num_tokens=dataset.num_tokens,
        pixels=dataset.layout == "image" and bool(config.augment) and _are_pixels(dataset),
        per=dataset.per,
        one_hot=dataset.one_hot,
        choices={**known.choices, **dataset.choices},
    )


def _are_pixels(dataset: Dataset) -> bool:
    inputs = dataset.train.inputs
    if inputs.dtype == torch.uint8:
        return True
    blocks = (inputs[rows] for rows in row_slices(inputs))
    return all(bool(block.amin() >= 0 and block.amax() <= 1) for block in blocks)


def build_preprocess(config: Config, dataset: Dataset) -> Preprocess:
    """Fits the transforms on the train split."""
    steps = config.preprocess
    return Preprocess.fit(
        dataset,
        normalize=steps.normalize,  # type: ignore[arg-type]  # resolved: no longer auto
        pca=steps.pca.n_components if steps.pca else None,
        whiten=bool(steps.pca and steps.pca.whiten),
        zca=steps.zca,
        scale_target=steps.scale_target is True,
    )
