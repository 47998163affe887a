"""Builds the initial training state, and the summary of the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from nnzoo.builders import (
    build_average,
    build_model,
    build_optimizer,
    build_scaler,
    build_schedule,
    build_unfreezing,
    move_to_device,
    one_hot_of,
    prepare_model,
)
from nnzoo.config.load import problems_of
from nnzoo.experiment.prepare import Experiment, check_output, steps_per_epoch
from nnzoo.experiment.pretrained.pretrained import load_pretrained
from nnzoo.experiment.threads import threads_of_network, use_threads
from nnzoo.experiment.train.forward import forward_of
from nnzoo.experiment.train.notes import report_on
from nnzoo.experiment.whitening import whiten
from nnzoo.models.parameters import load_weights
from nnzoo.models.relative_forecast import RelativeForecast
from nnzoo.models.tabular import TabularNet
from nnzoo.summaries import Summary
from nnzoo.training.batches.order import smallest_batch
from nnzoo.training.early_stopping import EarlyStopping
from nnzoo.training.evaluate import LossSum
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.state import TrainState, seed_everything, seed_of_rank


def build_state(
    experiment: Experiment,
    model: nn.Module | None,
    *,
    saved: dict[str, Any] | None = None,
    show: Callable[[str], None],
) -> tuple[TrainState, Summary, int]:
    """Builds the initial training state.

    Args:
        experiment: The experiment.
        model: A custom module, instead of the config's model.
        saved: The checkpoint that is restored next; the pretrained weights are not loaded in that case.
        show: A function that is called with the summary before the network is called.

    Returns:
        The initial state; the summary of the network; and the number of threads for training. The network is compiled
        for this number of threads; a different number would trigger a recompile.

    Raises:
        ConfigError: The network does not fit the data, or batches are too small for it.
        UsageError: A custom module does not fit the data.
        CheckpointError: The checkpoint is damaged.
    """
    config, settings = experiment.config, experiment.settings
    inputs = experiment.splits["train"].network_inputs(slice(1))
    num_train = len(experiment.splits["train"])
    module = build_network(experiment, model, config.seed, restored=bool(saved))
    report = report_on(config, module, tuple(inputs.shape[1:]), dtype=inputs.dtype)
    largest, smallest = min(settings.batch_size or num_train, num_train), smallest_batch(module, settings.group)
    if largest < smallest:
        key = ("model",) if num_train < smallest else ("train", "batch_size")
        least = "two samples per batch" if settings.group.size <= 2 else f"one sample for each of {smallest} processes"
        problem = f"batch norm needs at least {least} (got {largest} of {num_train} training samples)."
        raise problems_of(config, [(key, problem)])
    show(report.render())
    module = move_to_device(config, module, experiment.device)
    num_threads = threads_of_network(config, experiment.device, summary=report, num_train=num_train, saved=saved)
    with use_threads(num_threads):
        check_output(module, experiment)
        return state_of(experiment, module), report, num_threads


def build_network(experiment: Experiment, model: nn.Module | None, seed: int, *, restored: bool = False) -> nn.Module:
    """Seeds the generators and builds the network, with its pretrained weights unless a checkpoint replaces them."""
    config = experiment.config
    seed_everything(seed)
    if model is None:
        dataset = experiment.dataset
        shape = tuple(experiment.splits["train"].inputs.shape[1:])
        one_hot = one_hot_of(config, dataset.one_hot)
        sizes = shape, experiment.num_outputs, dataset.num_tokens, dataset.per, one_hot
        module = build_model(config, *sizes, download=not restored)
        if isinstance(module, RelativeForecast):
            module.set_units(*experiment.preprocess.units(shape[-1], experiment.num_outputs))
        if isinstance(module, TabularNet) and not restored:
            module.fit(experiment.splits["train"].inputs)
        if not restored:
            whiten(config, module, experiment.splits["train"])
            load_pretrained(config, module, experiment.dataset)
    else:
        prepare_model(config, model)
        module = model
    rank = experiment.settings.group.rank
    if rank:
        # All ranks have the weights of rank 0, but their own random numbers for dropout and augmentation.
        seed_everything(seed_of_rank(seed, rank))
    return module


def state_of(experiment: Experiment, module: nn.Module) -> TrainState:
    """Builds the initial training state of this network."""
    config, settings = experiment.config, experiment.settings
    optimizer = build_optimizer(config, module)
    stopping = config.train.early_stopping
    early_stopping = EarlyStopping(
        mode="max" if config.train.mode == "max" else "min",
        patience=stopping.patience if stopping else None,
        min_delta=stopping.min_delta if stopping else 0.0,
    )
    return TrainState(
        model=module,
        loss=experiment.loss,
        optimizer=optimizer,
        schedule=build_schedule(config, optimizer, steps_per_epoch(experiment, module)),
        early_stopping=early_stopping,
        train_loss=LossSum(experiment.loss),
        train_metrics=MetricSums(settings.metrics, experiment.decoder),
        forward=forward_of(experiment, module),
        scaler=build_scaler(config, experiment.device),
        average=build_average(config, module),
        unfreezing=build_unfreezing(config, module),
    )


def start_again(
    experiment: Experiment,
    model: nn.Module | None,
    given: dict[str, Tensor] | None,
    seed: int,
    *,
    restored: bool = False,
) -> TrainState:
    """Builds the initial state of another restart; a custom module starts with its original weights."""
    if model is not None:
        assert given is not None
        load_weights(model, given)
    module = build_network(experiment, model, seed, restored=restored)
    return state_of(experiment, move_to_device(experiment.config, module, experiment.device))
