"""The network that training starts with, without training it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from nnzoo.builders import NetworkShape, build_dataset, build_model, build_preprocess, facts_of, network_shape
from nnzoo.config import Config, resolve
from nnzoo.config.choices import changed_features
from nnzoo.experiment.pretrained.pretrained import take_over
from nnzoo.models.relative_forecast import RelativeForecast


def initial_network(config: Config, *, runs_dir: str = "runs") -> tuple[nn.Module, NetworkShape, frozenset[str]]:
    """Builds the network of a config as training with its seed does. The random generators are left as they are.

    Args:
        config: As it was loaded.
        runs_dir: Where names of runs are looked up.

    Returns:
        The network; the shape of its inputs and outputs; and the names of the weights that come from a checkpoint.

    Raises:
        ConfigError: The config can't be used.
        CheckpointError: The checkpoint of `model.pretrained` is damaged.
        DataError: The data is needed, and is missing or can't be used.
    """
    shape = network_shape(config)
    needs_data = config.model.pretrained is not None or changed_features(config) is not None
    dataset = build_dataset(config) if needs_data else None
    with _seeded(config.seed):
        module = build_model(config, *shape)
        if isinstance(module, RelativeForecast) and dataset is not None:
            preprocess = build_preprocess(resolve(config, facts_of(config, dataset)), dataset)
            module.set_units(*preprocess.units(shape.input_shape[-1], shape.num_outputs))
        return module, shape, take_over(config, module, dataset, runs_dir)


def network_of_size(config: Config, input_shape: Sequence[int] | None, num_outputs: int | None) -> nn.Module:
    """Builds the network of a config for other inputs or outputs than those of its data, with a new last layer.

    Args:
        config: As it was loaded.
        input_shape: One sample without the batch axis; None: as the data has it.
        num_outputs: Output units; None: as data and loss need them.

    Raises:
        ConfigError: The config can't be used.
        CheckpointError: The checkpoint of `model.pretrained` is damaged.
    """
    with _seeded(config.seed):
        module = build_model(config, input_shape, num_outputs)
        if config.model.pretrained is not None:
            take_over(config, module, None if num_outputs is not None else build_dataset(config))
        return module


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seeds the generators of the CPU, on which networks are built, and restores them at the end."""
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
