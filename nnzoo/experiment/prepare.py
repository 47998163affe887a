"""Prepares an experiment from a config: reads, splits and preprocesses the data, and moves it to the device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo import log
from nnzoo.builders import (
    build_augment,
    build_dataset,
    build_decoder,
    build_loss,
    build_settings,
    choose_device,
    facts_of,
)
from nnzoo.config import Config, Facts, check_facts, num_outputs, resolve
from nnzoo.config.auto_model import chose_model, with_auto_model
from nnzoo.config.baselines import skipped_note
from nnzoo.config.choices import changed_features
from nnzoo.config.data import ImageFolder
from nnzoo.config.load import problems_of
from nnzoo.config.model import Torchvision
from nnzoo.data import DataInMemory, Dataset, OnDisk, Preprocess, Samples, Split, missing_classes
from nnzoo.data.series.levels import move_far_windows
from nnzoo.errors import DataError, UsageError
from nnzoo.experiment.pretrained.preprocessing import fit_preprocess
from nnzoo.experiment.suitability import check_metrics, warn_of_lost_digits
from nnzoo.models.torchvision_weights import fetch_weights
from nnzoo.training.batches.order import arguments_of, boundaries, smallest_batch
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.losses import reads_indices
from nnzoo.training.precision.scaling import DTYPES, Autocast, unsupported_reason
from nnzoo.training.processes.group import SINGLE_PROCESS, Group
from nnzoo.training.settings import Settings


@dataclass(frozen=True)
class Experiment:
    """Everything that does not change during training.

    Attributes:
        config: The resolved config.
        facts: What is known about the data: task, layout, sizes and automatic choices.
        dataset: The dataset with its splits, before preprocessing.
        preprocess: The fitted preprocessing, on the CPU.
        splits: Preprocessed inputs and encoded targets, on the device.
        decoder: Converts outputs into predictions.
        loss: The loss of outputs and encoded targets, on the device.
        num_outputs: The number of output units.
        device: The device.
        settings: The settings of the training loop.
        num_threads: The number of threads that prepared the data.
    """

    config: Config
    facts: Facts
    dataset: Dataset
    preprocess: Preprocess
    splits: dict[str, Split]
    decoder: Decoder
    loss: nn.Module
    num_outputs: int
    device: torch.device
    settings: Settings
    num_threads: int


def fetch(config: Config, group: Group) -> None:
    """Lets rank 0 download or decode data and weights to disk, where the other processes then find them."""

    def read() -> None:
        build_dataset(config)

    is_decoded = isinstance(config.data, ImageFolder) and config.data.cache == "disk"
    if group.size > 1 and (is_decoded or getattr(config.data, "download", False)):
        group.from_first(read)
    if group.size > 1 and isinstance(config.model, Torchvision) and config.model.weights is not None:
        arch, weights = config.model.arch, config.model.weights
        group.from_first(lambda: str(fetch_weights(arch, weights)))


def prepare(
    config: Config,
    in_memory: DataInMemory | None = None,
    *,
    batches: int | None = None,
    group: Group = SINGLE_PROCESS,
    saved: Mapping[str, Any] | None = None,
) -> Experiment:
    """Prepares an experiment.

    Args:
        config: The config, not yet resolved.
        in_memory: The data, if it was passed from Python.
        batches: For a dry run, the maximum number of batches per split.
        group: The process group.
        saved: The checkpoint that is restored next; its preprocessing is used if it comes from pretrained weights.

    Raises:
        ConfigError: The config does not fit the data or the pretrained weights, or the device does not support
            `train.precision`.
        DataError: The data is missing, damaged, or too small.
    """
    device = choose_device(config.train.device, group)
    if group.size > 1 and device.type == "cuda":
        # Otherwise tensors created on "cuda" would be on cuda:0, the device of another process.
        torch.cuda.set_device(device)
    if reason := unsupported_reason(config.train.precision, device):
        raise problems_of(config, [(("train", "precision"), reason)])
    dataset = build_dataset(config, in_memory)
    facts = facts_of(config, dataset)
    config = with_auto_model(config, facts)
    check_facts(config, facts)
    resolved = resolve(config, facts)
    if dataset.task == "classification" and len(dataset.classes) < 2:
        raise DataError(f"there is only one class ({dataset.classes[0]}). Add samples of another class.", where="data")
    for note in (*dataset.notes, *filter(None, [skipped_note(config, facts)])):
        log.info("%s", note)
    if chose_model(config):
        log.info("model: %s, chosen by `model: auto` for this data", config.model.name)
    warn_about(dataset)
    for split, classes in missing_classes(dataset).items():
        log.data_warning("the %s split has no sample of %s", split, ", ".join(classes))
    if dataset.train.weights is not None:
        for index, section in enumerate(config.augment):
            if section.mixes_targets:
                reason = f"{section.name} mixes samples, which have different weights. Remove it, or sample_weight."
                raise problems_of(config, [(("augment", index), reason)])
    check_metrics(config, dataset, resolved.train.metrics, resolved.train.monitor)
    return assemble(resolved, facts, dataset, device, batches=batches, group=group, saved=saved)


def assemble(
    config: Config,
    facts: Facts,
    dataset: Dataset,
    device: torch.device,
    *,
    batches: int | None = None,
    group: Group = SINGLE_PROCESS,
    saved: Mapping[str, Any] | None = None,
) -> Experiment:
    """Preprocesses and encodes a dataset, and builds the loss and the settings of a resolved config.

    Args:
        config: The resolved config.
        facts: The facts about the dataset.
        dataset: The dataset before preprocessing.
        device: The device of the network.
        batches: As in `prepare`.
        group: The process group.
        saved: As in `prepare`.
    """
    preprocess = fit_preprocess(config, dataset, saved=saved)
    decoder = build_decoder(config, dataset, preprocess)
    loss = build_loss(config, dataset).to(device)
    outputs = num_outputs(config.loss, facts)
    assert outputs is not None
    if batches is not None and isinstance(config.train.batch_size, int):
        dataset = truncate(dataset, batches * config.train.batch_size)
    # Augmentation comes before `normalize`, which is therefore applied per batch.
    by_batch = ("train",) if config.augment and dataset.layout == "image" else ()
    moved = move_far_windows(dataset, changed_features(config), preprocess)
    transformed = preprocess.transform(moved, by_batch=by_batch)
    warn_of_lost_digits(dataset, transformed, preprocess)
    splits = encode(transformed, decoder, loss, device)
    return Experiment(
        config,
        facts,
        dataset,
        preprocess,
        splits,
        decoder.on(device),
        loss,
        outputs,
        device,
        replace(build_settings(config), augment=build_augment(config, len(dataset.classes)), group=group),
        torch.get_num_threads(),
    )


def without_raw_inputs(experiment: Experiment) -> Experiment:
    """Returns the experiment without its raw float64 inputs, which take twice the memory of the preprocessed ones.

    Their shape and dtype remain available, but reading them is an error. Inputs that are written to predictions.csv are
    kept.
    """
    dataset = experiment.dataset
    if dataset.reader is None:
        return experiment
    splits = {
        name: replace(split, inputs=split.inputs.to("meta"))
        if split.inputs.dtype == torch.float64 and not isinstance(split.inputs, OnDisk)
        else split
        for name, split in dataset.splits.items()
    }
    return replace(experiment, dataset=replace(dataset, splits=splits))


def warn_about(data: Dataset | Samples) -> None:
    """Logs the warnings that were collected while the data was read."""
    for text in data.warnings:
        log.data_warning("%s", text)


def steps_per_epoch(experiment: Experiment, module: nn.Module) -> int:
    """Returns the number of optimizer steps per epoch."""
    settings, num_train = experiment.settings, len(experiment.splits["train"])
    min_size = smallest_batch(module, settings.group)
    batches = boundaries(num_train, settings.batch_size or num_train, min_size=min_size)
    return -(-len(batches) // settings.accumulate)


def truncate(dataset: Dataset, samples: int) -> Dataset:
    """Returns the dataset with only the first samples of each split."""
    splits = {name: split.take(torch.arange(min(samples, len(split)))) for name, split in dataset.splits.items()}
    return replace(dataset, splits=splits)


def encode(dataset: Dataset, decoder: Decoder, loss: nn.Module, device: torch.device) -> dict[str, Split]:
    """Returns the splits for the training loop, with targets encoded for the loss, on the device."""
    indices = reads_indices(loss)
    # MPS has no float64; metrics of its outputs are computed on the CPU.
    exact_device = torch.device("cpu") if device.type == "mps" else device
    return {
        name: Split(
            split.inputs.to(device),
            decoder.encode(split.targets, indices=indices).to(device),
            None if split.lengths is None else split.lengths.to(device),
            finish=None if split.finish is None else copy.deepcopy(split.finish).to(device),
            exact=None if split.exact is None else split.exact.to(exact_device),
            level=None if split.level is None else split.level.to(exact_device),
            weights=None if split.weights is None else split.weights.to(device),
        )
        for name, split in dataset.splits.items()
    }


@torch.no_grad()
def check_output(module: nn.Module, experiment: Experiment) -> None:
    """Checks the network with a forward pass of two samples, before anything is trained or written.

    Raises:
        UsageError: The network fails, does not return outputs (N, num_outputs), or has a state that can't be saved.
    """
    for name, value in module.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise UsageError(
                f"{name} of its state_dict is not a tensor (got {type(value).__name__}). Make it a buffer, or leave it "
                "out of the state_dict.",
                where="model",
            )
    module.eval()
    train = experiment.splits["train"]
    inputs = train.network_inputs(slice(2))
    arguments = arguments_of(module, inputs, None if train.lengths is None else train.lengths[:2])
    outputs = _outputs(module, arguments, where="model")
    positions = () if experiment.dataset.per == "sample" else (inputs.shape[1],)
    expected = (len(inputs), *positions, experiment.num_outputs)
    if not isinstance(outputs, torch.Tensor) or tuple(outputs.shape) != expected:
        got = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise UsageError(
            f"the outputs of the network have the wrong shape (got {got}, expected {expected} for inputs "
            f"{tuple(inputs.shape)}). With this data and the loss {experiment.config.loss.name}, the network needs "
            f"{experiment.num_outputs} output units.",
            where="model",
        )
    dtype = DTYPES.get(experiment.config.train.precision)
    if dtype is not None:
        _outputs(Autocast(module, experiment.device, dtype), arguments, where="train.precision")


def _outputs(forward: Callable[..., Tensor], arguments: tuple[Tensor, ...], *, where: str) -> Tensor:
    try:
        return forward(*arguments)
    except Exception as error:  # a custom module may raise anything
        inputs, reason = arguments[0], str(error).split("\n")[0]
        raise UsageError(
            f"the network fails on inputs {tuple(inputs.shape)} of {inputs.dtype}: {type(error).__name__}: {reason}",
            where=where,
        ) from error
