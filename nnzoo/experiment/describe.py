"""Describes a network before or after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nnzoo.builders import plan_model, with_known_model
from nnzoo.config import Config, config_path, load_config, resolve
from nnzoo.errors import UsageError
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.pretrained.pretrained import with_embedding
from nnzoo.experiment.train.initial import initial_network
from nnzoo.experiment.train.notes import report_on
from nnzoo.models.members import no_single_network
from nnzoo.run.directory import ARTIFACT
from nnzoo.run.zoo import PREFIX
from nnzoo.summaries import Summary

MAX_SHOWN_VALUES = 100
"""Parameters with more values are shown by their mean, standard deviation and range."""


@dataclass(frozen=True)
class DescribedNetwork:
    """A network and its summary.

    Attributes:
        module: The network, with its initial or trained values.
        config: The config of the network.
        summary: The summary.
        dtype: The type of the inputs; an integer type for tokens.
        pretrained: The names of the weights that were copied from a checkpoint.
        inputs: The names of the inputs of a trained network; empty if they have none.
        outputs: The names of the output units of a trained network.
    """

    module: nn.Module
    config: Config
    summary: Summary
    dtype: torch.dtype = torch.float32
    pretrained: frozenset[str] = frozenset()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def parameters(self) -> list[dict[str, Any]]:
        """Returns the name, shape, initializer, trainability and values (or statistics) of each parameter."""
        rules = {assignment.name: str(assignment.rule) for assignment in plan_model(self.config, self.module)}
        rules |= dict.fromkeys(self.pretrained, f"from {self.config.model.pretrained}")
        return [
            {
                "name": name,
                "shape": list(parameter.shape),
                "initializer": rules.get(name, "PyTorch default"),
                "trainable": parameter.requires_grad,
                "values": _values(parameter.detach()),
            }
            for name, parameter in self.module.named_parameters()
        ]

    def parameter_table(self) -> str:
        """Returns the parameters as text."""
        lines = ["Parameters:"]
        for entry in self.parameters():
            frozen = "" if entry["trainable"] else ", frozen"
            lines.append(f"{entry['name']}  {tuple(entry['shape'])}  {entry['initializer']}{frozen}")
            values = entry["values"]
            if isinstance(values, dict):
                shown = "  ".join(f"{key} {value:.4g}" for key, value in values.items())
            else:
                shown = np.array2string(np.array(values), precision=4, suppress_small=True, max_line_width=100)
            lines += [f"    {line}" for line in shown.split("\n")]
        return "\n".join(lines)


def _values(parameter: torch.Tensor) -> Any:
    if parameter.numel() <= MAX_SHOWN_VALUES:
        return parameter.tolist()
    return {
        "mean": float(parameter.mean()),
        "std": float(parameter.std(correction=0)),
        "min": float(parameter.min()),
        "max": float(parameter.max()),
    }


def describe_network(
    network: str, overrides: Sequence[str] = (), *, runs_dir: str = "runs", batch_size: int = -1
) -> DescribedNetwork:
    """Describes the network of a config or a checkpoint.

    Args:
        network: A config (a path, or the name of a shipped config) or a checkpoint (a run directory or name, a file,
            `latest`, `zoo:NAME`).
        overrides: Overrides of the config.
        runs_dir: The directory in which run names are looked up.
        batch_size: The batch size in the table; -1 for any.

    Raises:
        ConfigError: The config can't be used.
        UsageError: There is no such config or checkpoint.
        CheckpointError: The checkpoint is damaged.
    """
    path = Path(network)
    is_checkpoint = network.startswith(PREFIX) or path.suffix in (".safetensors", ".pt") or (path / ARTIFACT).is_file()
    config_error: UsageError | None = None
    if not is_checkpoint:
        try:
            config_path(network)
        except UsageError as error:
            config_error = error
    pretrained: frozenset[str] = frozenset()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    if not is_checkpoint and config_error is None:
        config, module, shape, num_tokens, pretrained = _from_config(network, overrides, runs_dir)
    else:
        if overrides:
            raise UsageError("overrides apply only to configs, not to trained networks. Leave them out.", where=network)
        try:
            trained = load(network, runs_dir=runs_dir)
        except UsageError as error:
            raise (config_error if config_error and network != "latest" else error) from None
        if trained.members:
            raise UsageError(no_single_network(len(trained.members)), where=network)
        config, module, metadata = trained.config, trained.module.train(), trained.metadata
        shape, num_tokens = metadata.network_input_shape, metadata.num_tokens
        inputs, outputs = unit_names(trained)
    dtype = torch.long if num_tokens else torch.float32
    report = report_on(config, module, shape, batch_size=batch_size, dtype=dtype)
    return DescribedNetwork(module, config, report, dtype, pretrained, inputs, outputs)


def unit_names(trained: TrainedModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the names of the inputs and of the output units of a trained network, empty where they have none.

    Principal components have no names. The single output of a network for two classes stands for the second class.
    """
    metadata, config = trained.metadata, trained.config
    mixed = config.preprocess.pca is not None or config.preprocess.zca
    names = metadata.target_names if metadata.task == "regression" else metadata.classes
    return () if mixed else metadata.feature_names, names[-metadata.num_outputs :]


def _from_config(
    network: str, overrides: Sequence[str], runs_dir: str
) -> tuple[Config, nn.Module, tuple[int, ...], int, frozenset[str]]:
    """Returns the config, the initial network, its input shape, the vocabulary size and the pretrained weights."""
    config = with_embedding(with_known_model(load_config(network, overrides)), runs_dir)
    module, shape, pretrained = initial_network(config, runs_dir=runs_dir)
    return resolve(config, config.data.facts()), module, shape.input_shape, shape.num_tokens, pretrained
