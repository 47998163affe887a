"""Builds the initial network of a config without training it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from nnzoo.builders import (
    NetworkShape,
    build_dataset,
    build_model,
    facts_of,
    network_shape,
    with_known_model,
)
from nnzoo.config import Config, resolve
from nnzoo.config.choices import changed_features
from nnzoo.config.model import Tabular
from nnzoo.data import Dataset
from nnzoo.experiment.pretrained.preprocessing import fit_preprocess
from nnzoo.experiment.pretrained.pretrained import load_pretrained
from nnzoo.experiment.whitening import whiten, whitening_of, whitening_rows
from nnzoo.models.relative_forecast import RelativeForecast
from nnzoo.models.tabular import TabularNet


def initial_network(config: Config, *, runs_dir: str = "runs") -> tuple[nn.Module, NetworkShape, frozenset[str]]:
    """Builds the network with the initial weights of the config's seed. Global random states do not change.

    Args:
        config: The config.
        runs_dir: The directory in which run names are looked up.

    Returns:
        The network; the shape of its inputs and outputs; and the names of the weights that were copied from a
        checkpoint.

    Raises:
        ConfigError: The config can't be used.
        CheckpointError: The checkpoint of `model.pretrained` is damaged.
        DataError: The data is required but missing, or can't be used.
    """
    config = with_known_model(config)
    shape = network_shape(config)
    is_fitted = changed_features(config) is not None or isinstance(config.model, Tabular)
    learns = is_fitted or whitening_of(config) is not None
    needs_data = config.model.pretrained is not None or learns
    with torch.device("cpu"):  # the network may be on the meta device, the data is not
        dataset = build_dataset(config) if needs_data else None
    with _seeded(config.seed):
        module = build_model(config, *shape)
        if learns and dataset is not None:
            with torch.device("cpu"):
                _fit(config, module, dataset, shape, runs_dir)
        return module, shape, load_pretrained(config, module, dataset, runs_dir)


def _fit(config: Config, module: nn.Module, dataset: Dataset, shape: NetworkShape, runs_dir: str) -> None:
    """Sets the values of a network that are computed from the train split."""
    preprocess = fit_preprocess(resolve(config, facts_of(config, dataset)), dataset, runs_dir)
    if isinstance(module, RelativeForecast):
        module.set_units(*preprocess.units(shape.input_shape[-1], shape.num_outputs))
    if isinstance(module, TabularNet):
        module.fit(preprocess.transform(dataset).train.inputs)
    if whitening_of(config) is not None:
        few = dataset.train.take(whitening_rows(len(dataset.train)))
        whiten(config, module, preprocess.transform(replace(dataset, splits={"train": few})).train)


def network_of_size(config: Config, input_shape: Sequence[int] | None, num_outputs: int | None) -> nn.Module:
    """Builds the network of a config for different input or output sizes than those of its data, with a new last layer.

    Args:
        config: The config.
        input_shape: The shape of one sample without the batch axis; None for that of the data.
        num_outputs: The number of output units; None for that of the data and the loss.

    Raises:
        ConfigError: The config can't be used.
        CheckpointError: The checkpoint of `model.pretrained` is damaged.
    """
    config = with_known_model(config)
    with _seeded(config.seed):
        module = build_model(config, input_shape, num_outputs)
        if config.model.pretrained is not None:
            load_pretrained(config, module, None if num_outputs is not None else build_dataset(config))
        return module


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seeds the CPU generators, which initialise networks, and restores their state at the end."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
