"""Prepares the training of a network for a trace: in float64, on the CPU, with the initial weights of the training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.builders import build_loss, move_to_device, plan_model
from nnzoo.config import Config
from nnzoo.config import model as model_config
from nnzoo.config.document import Path as KeyPath
from nnzoo.config.load import problems_of
from nnzoo.data import OnDisk, Preprocess, Split
from nnzoo.errors import UsageError
from nnzoo.experiment.prepare import Experiment, prepare
from nnzoo.experiment.pretrained.pretrained import with_checkpoint
from nnzoo.experiment.train.start import build_network, state_of
from nnzoo.models import CNN, MLP, initialize
from nnzoo.models.parameters import has_batch_norm
from nnzoo.models.recurrent import RecurrentNet
from nnzoo.training.state import TrainState

MAX_PARAMETERS = 1_000_000
"""Larger networks are refused: a trace stores every value, gradient and optimizer state of a step in float64."""
EXACT_RULES = ("values", "constant", "zeros", "ones", "eye", "dirac", "forget_gate_ones")
"""Initializers without random numbers, whose values float32 may have rounded."""

_REASONS: dict[type[model_config.Model], str] = {
    model_config.Recursive: "reads trees, whose shape differs from sample to sample",
    model_config.TreeLstm: "reads trees, whose shape differs from sample to sample",
    model_config.Torchvision: "is a network of torchvision, whose layers do not form a plain chain",
    model_config.CifarResNet: "has shortcuts, so its layers do not form a plain chain",
    model_config.Custom: "is a custom module, whose formulas are not known",
}
_ONLY = "Only dense, convolutional and recurrent networks can be traced."


@dataclass(frozen=True)
class Setup:
    """A training that is ready to be traced.

    Attributes:
        config: The config as it was loaded.
        experiment: The experiment, with float64 data.
        state: The initial training state, with a float64 network.
        notes: What differs from `nnzoo train`, one sentence each.
    """

    config: Config
    experiment: Experiment
    state: TrainState
    notes: list[str]


def check_traceable(config: Config) -> None:
    """Checks a config before its data is read.

    Raises:
        ConfigError: The network or the optimizer can't be traced.
    """
    problem: tuple[KeyPath, str] | None = None
    for kind, reason in _REASONS.items():
        if isinstance(config.model, kind):
            problem = (("model",), f"{config.model.name} {reason}. {_ONLY}")
    if isinstance(config.model, model_config.Linear) and config.model.kernel == "rbf":
        problem = (("model", "kernel"), f"the random features of the rbf kernel can't be traced. {_ONLY}")
    if config.optimizer.name == "lbfgs":
        reason = "lbfgs computes the loss several times per step, so a step has no single gradient that can be traced."
        problem = (("optimizer",), f"{reason} Use another optimizer, such as sgd.")
    if config.optimizer.name == "muon":
        reason = (
            "muon orthogonalizes whole matrices, so a weight has no formula of its own gradient that can be traced."
        )
        problem = (("optimizer",), f"{reason} Use another optimizer, such as adamw.")
    if getattr(config.optimizer, "backbone_lr", None) is not None:
        reason = "a trace shows one learning rate for all parameters, so backbone_lr can't be traced. Remove it."
        problem = (("optimizer", "backbone_lr"), reason)
    if config.model.freeze_epochs is not None:
        reason = "a trace shows the same trained parameters in every step. Use `freeze` without `freeze_epochs`."
        problem = (("model", "freeze_epochs"), reason)
    if problem is not None:
        raise problems_of(config, [problem])


def build_setup(config: Config, *, row: int | None, num_steps: int, runs_dir: str) -> Setup:
    """Reads the data and builds the initial training state.

    Args:
        config: The loaded config.
        row: The only training sample; None for the batches of the training.
        num_steps: With a row, training has at least this many epochs of one step each.
        runs_dir: The folder in which the name of `model.pretrained` is looked up.

    Raises:
        ConfigError: The config can't be used, or can't be traced.
        DataError: The data is missing or does not fit.
        UsageError: There is no such sample.
    """
    check_traceable(config)
    used, notes = _on_cpu(with_checkpoint(config, Path(runs_dir)), is_single=row is not None)
    experiment = prepare(used)
    network = build_network(experiment, None, used.seed)
    _check_network(config, network, row)
    experiment = _in_float64(experiment, row, trim=isinstance(network, RecurrentNet))
    _check_lengths(config, network, experiment.splits["train"])
    if row is not None:
        epochs = max(experiment.settings.epochs, num_steps)
        experiment = replace(experiment, settings=replace(experiment.settings, epochs=epochs))
    # The memory format decides the order in which the random numbers of dropout are used.
    network = move_to_device(used, network, experiment.device).double()
    exact_parameters(experiment.config, network)
    state = state_of(experiment, network)
    state.forward = InFloat64(network)
    return Setup(config, experiment, state, notes)


def num_recurrent_layers(network: RecurrentNet) -> int:
    """Returns the number of recurrent layers."""
    modules: list[Any] = list(network.recurrent)
    return sum(each.num_layers for each in modules)


class InFloat64:
    """Calls a float64 network with inputs of any floating-point type.

    Args:
        network: The network.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, *arguments: Tensor) -> Tensor:
        """Returns the outputs."""
        outputs: Tensor = self.network(*(each.double() if each.is_floating_point() else each for each in arguments))
        return outputs


def _on_cpu(config: Config, *, is_single: bool) -> tuple[Config, list[str]]:
    """Returns the config for a single network in full precision on the CPU, and what that changes."""
    train = config.train
    notes = []
    if train.precision != "fp32":
        notes.append(f"train.precision: {train.precision} is not used: the trace computes in float64.")
    if train.restarts > 1:
        notes.append("train.restarts: the trace shows the first of the networks.")
    if train.ema is not None:
        notes.append("train.ema is not used: the trace shows the weights of each step, not their average.")
    changes: dict[str, Any] = {"device": "cpu", "precision": "fp32", "compile": False, "restarts": 1, "probes": False}
    changes |= {"ema": None, "tta": None}
    if is_single:
        # Each step is an epoch.
        changes["early_stopping"] = None
    return config.model_copy(update={"train": train.model_copy(update=changes)}), notes


def _check_network(config: Config, network: nn.Module, row: int | None) -> None:
    if not isinstance(network, MLP | CNN | RecurrentNet):
        what = type(network).__name__
        raise problems_of(config, [(("model",), f"{config.model.name} ({what}) can't be traced. {_ONLY}")])
    count = sum(parameter.numel() for parameter in network.parameters())
    if count > MAX_PARAMETERS:
        message = (
            f"the network has {count:,} parameters; a trace stores every number of a step, for networks of up to "
            f"{MAX_PARAMETERS:,}. Trace a smaller network."
        )
        raise problems_of(config, [(("model",), message)])
    if isinstance(network, RecurrentNet) and network.dropout.p and num_recurrent_layers(network) > 1:
        message = "dropout between recurrent layers happens inside torch, where it can't be seen. Set dropout: 0."
        raise problems_of(config, [(("model", "dropout"), message)])
    if row is not None and has_batch_norm(network):
        raise UsageError(
            "batch norm needs at least two samples per batch, so a single sample can't be traced. Leave out --row.",
            where=f"--row {row}",
        )


def _check_lengths(config: Config, network: nn.Module, train: Split) -> None:
    """Checks that padding does not matter where a trace can't show it.

    Raises:
        ConfigError: Sequences of different lengths go through a convolution, or through both directions of a network.
    """
    if train.lengths is None or bool((train.lengths == train.inputs.shape[1]).all()):
        return
    if isinstance(network, CNN):
        message = "sequences of different lengths can't be traced in a cnn. Use rnn, lstm or gru."
        raise problems_of(config, [(("model",), message)])
    if isinstance(network, RecurrentNet) and network.bidirectional:
        message = "sequences of different lengths can't be traced in both directions. Use --row, or one direction."
        raise problems_of(config, [(("model", "bidirectional"), message)])


def _in_float64(experiment: Experiment, row: int | None, *, trim: bool) -> Experiment:
    """Returns the experiment with float64 data and loss; with a row, its train split has only that sample.

    Args:
        experiment: The experiment.
        row: The sample, or None.
        trim: Whether the padding of that sample is removed, which does not change the results of recurrent networks.
    """
    with default_dtype(torch.float64):
        # The class weights of a config are exact only if they are converted directly to float64.
        loss = build_loss(experiment.config, experiment.dataset).double()
    raw = experiment.dataset.splits
    splits = dict(experiment.splits)
    if row is not None:
        count = len(splits["train"])
        if row >= count:
            raise UsageError(
                f"the train split has {count} sample{'s' * (count > 1)}, so rows are 0 to {count - 1}.",
                where=f"--row {row}",
            )
        splits["train"] = splits["train"].take(torch.tensor([row]))
        raw = {**raw, "train": raw["train"].take(torch.tensor([row]))}
    for name, split in splits.items():
        splits[name] = _exact_split(split, raw[name], experiment)
    single = splits["train"]
    if row is not None and trim and single.lengths is not None and single.targets.shape[1:] != single.inputs.shape[1:2]:
        steps = int(single.lengths[0])
        splits["train"] = replace(single, inputs=single.inputs[:, :steps], lengths=None)
    settings = replace(experiment.settings, probes=False)
    return replace(experiment, splits=splits, loss=loss, settings=settings)


def _exact_split(split: Split, raw: Split, experiment: Experiment) -> Split:
    """Returns a split in float64: without the rounding to float32 where the data on disk is more precise."""
    preprocess: Preprocess = experiment.preprocess
    inputs, targets = split.inputs, split.targets
    if not isinstance(inputs, OnDisk) and inputs.is_floating_point():
        inputs = _unrounded(inputs, lambda: preprocess.in_float64(raw.inputs, raw.lengths))
    if targets.is_floating_point():
        regression = experiment.dataset.task == "regression"
        targets = _unrounded(
            targets, lambda: preprocess.scale_targets(raw.targets) if regression else raw.targets.double()
        )
    return replace(split, inputs=inputs, targets=targets)


def _unrounded(rounded: Tensor, compute: Callable[[], Tensor]) -> Tensor:
    """Returns the computed float64 values if they round to these float32 values, else the float32 values."""
    exact = compute()
    is_same = exact.shape == rounded.shape and torch.equal(exact.float(), rounded.float())
    return exact if is_same else rounded.double()


def exact_parameters(config: Config, network: nn.Module) -> None:
    """Repeats the initializers without random numbers in float64: 0.15 in a config is then 0.15, not 0.15000000596."""
    for assignment in plan_model(config, network):
        if assignment.rule.name not in EXACT_RULES:
            continue
        filled = nn.Parameter(torch.empty_like(assignment.parameter))
        initialize([replace(assignment, parameter=filled)])
        # A parameter that was loaded from a checkpoint has other values.
        assignment.parameter.data = _unrounded(assignment.parameter.data, lambda filled=filled: filled.data)  # type: ignore[misc]


@contextmanager
def default_dtype(dtype: torch.dtype) -> Any:
    """A context manager in which torch creates floating-point tensors of this type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
