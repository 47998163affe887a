"""Evaluates a trained network on a split, or on new labelled data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnzoo import log
from nnzoo.builders import build_loss, build_settings, facts_of
from nnzoo.config import Config
from nnzoo.config.choices import changed_features
from nnzoo.config.rules import unfit_metric
from nnzoo.data import DataInMemory, Dataset, Samples, Split
from nnzoo.data.baseline import baseline
from nnzoo.data.series.levels import move_far_windows
from nnzoo.errors import UsageError
from nnzoo.experiment.evaluate.confidence import intervals
from nnzoo.experiment.evaluate.labelled import (
    check_is_training_data,
    labelled_samples,
    read_labelled,
    to_data_in_memory,
)
from nnzoo.experiment.evaluate.measure import confusion_matrix, per_class
from nnzoo.experiment.evaluate.threshold import Criterion, Threshold, with_threshold
from nnzoo.experiment.evaluate.training_data import read_test_split, read_training_data
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.prepare import encode, warn_about
from nnzoo.experiment.threads import threads_of_data, threads_of_network, use_threads
from nnzoo.experiment.train.record import PREDICTED_SPLITS
from nnzoo.summaries import summarize
from nnzoo.training.evaluate import Evaluation, evaluate, evaluate_outputs
from nnzoo.training.measures.metrics import MetricSums


@dataclass(frozen=True)
class EvalResult:
    """The result of an evaluation.

    Attributes:
        checkpoint: The file that contains the weights.
        split: train, val or test; for new data its path, or "new data".
        num_samples: The number of samples.
        metrics: "loss" and each metric.
        confidence: The bounds of each metric's 95 % confidence interval.
        baseline: The scores of a predictor that ignores the inputs.
        per_class: Precision, recall, F1 and support of each class; empty for other tasks.
        confusion_matrix: True classes in rows, predicted classes in columns; empty for other tasks.
        classes: The class names.
        threshold: The decision threshold for two classes, if one was set, and how it was chosen.
        warnings: The warnings about the data.
    """

    checkpoint: str
    split: str
    num_samples: int
    metrics: dict[str, float]
    confidence: dict[str, tuple[float, float]]
    baseline: dict[str, float]
    per_class: list[dict[str, Any]]
    confusion_matrix: list[list[int]]
    classes: tuple[str, ...]
    threshold: Threshold | None = None
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Returns the object of `eval --json`."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        return values | {"threshold": None if self.threshold is None else self.threshold.as_dict()}


def evaluate_checkpoint(
    checkpoint: str | os.PathLike[str] | TrainedModel,
    *,
    split: str | None = None,
    data: Any = None,
    metrics: Sequence[str] = (),
    threshold: float | Criterion | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
    model: nn.Module | None = None,
    training_data: DataInMemory | None = None,
) -> EvalResult:
    """Evaluates a trained network.

    Args:
        checkpoint: A run directory (its best weights), best.safetensors, last.safetensors, `zoo:NAME`, a run's name,
            `latest`, or a loaded network.
        split: train, val or test; by default, the first of test, val and train that exists.
        data: New labelled data of the same kind, instead of a split: a file or folder, or what `data_in_memory`
            accepts. With `split`, it must be the data that the network was trained on.
        metrics: Metrics to compute in addition to those of the config.
        threshold: The decision threshold for two classes: the second class is predicted if its probability is at least
            this; or the name of a metric that the threshold should maximize on val. Default: 0.5.
        batch_size: The batch size; by default, that of training, so that results are bit-identical.
        device: auto, cpu, cuda, cuda:N or mps; by default, that of the config.
        runs_dir: The directory in which run names are looked up.
        model: The custom module, if the network is a custom module.
        training_data: The data that the network was trained on, if it is still in memory.

    Raises:
        UsageError: There is no such checkpoint or split, or a metric or threshold does not fit the task.
        CheckpointError: The checkpoint is damaged.
        DataError: The data is missing or does not fit.
    """
    is_file = isinstance(data, str | os.PathLike)
    if is_file and split is not None:
        raise UsageError(
            "--split and --data can't be used together: --split selects a part of the training data. Use one of them."
        )
    with log.recording(quiet=True) as journal:
        if isinstance(checkpoint, TrainedModel):
            trained = checkpoint
        else:
            trained = load(checkpoint, runs_dir=runs_dir, model=model, device=device)
        decision = None
        if threshold is not None:
            trained, decision = with_threshold(trained, threshold)
        given = None if data is None or is_file else to_data_in_memory(trained, data)
        members = trained.members or (trained,)
        if is_file or (given is not None and split is None):
            datasets, chosen = [_new_data(member, given, data) for member in members], "new"
        else:
            if given is not None:
                check_is_training_data(trained, given)
            fix = "Use --data PATH, or name the run directory."
            read = read_test_split if trained.members else read_training_data
            datasets = [read(member, given or training_data, fix=fix) for member in members]
            known = [name for name in PREDICTED_SPLITS if name in datasets[0].splits and _is_common(trained, name)]
            chosen = split or next(iter(known), "test")
            _check_split(trained, chosen, known)
        dataset = datasets[0]
        warn_about(dataset)
        _check_metrics(metrics, trained.config, dataset)
        measured = _measure(trained, datasets, chosen, batch_size, metrics)
        return replace(
            measured,
            split=str(data) if is_file else "new data" if chosen == "new" else chosen,
            threshold=decision,
            warnings=tuple(journal.warnings),
        )


def _check_metrics(metrics: Sequence[str], config: Config, dataset: Dataset) -> None:
    """Checks that the additional metrics fit the data.

    Raises:
        UsageError: A metric does not fit.
    """
    for name in metrics:
        problem = "" if name == "loss" else unfit_metric(name, config, facts_of(config, dataset))
        if problem:
            raise UsageError(problem, where=f"metric {name}")


def _is_common(trained: TrainedModel, split: str) -> bool:
    """Returns whether a split is the same for all members: for a cross-validation, only the test split."""
    return split == "test" or not trained.members


def _check_split(trained: TrainedModel, chosen: str, known: Sequence[str]) -> None:
    """Checks that a split exists.

    Raises:
        UsageError: There is no such split.
    """
    if chosen in known:
        return
    if trained.members:
        raise UsageError(
            f"the folds of a cross-validation have no common {chosen} split. predictions.csv of the run has the "
            "predictions for the samples of each fold; --data PATH evaluates on new data.",
            where="--split",
        )
    raise UsageError(f"there is no {chosen} split (expected one of: {', '.join(known)}).", where="--split")


def _new_data(trained: TrainedModel, given: DataInMemory | None, path: Any) -> Dataset:
    samples = labelled_samples(trained, given) if given is not None else read_labelled(trained, Path(path))
    return _as_dataset(trained, samples)


def _measure(
    trained: TrainedModel, datasets: Sequence[Dataset], chosen: str, batch_size: int | None, metrics: Sequence[str]
) -> EvalResult:
    """Evaluates a network, or the average of its members, each on its own version of the dataset."""
    names = tuple(
        dict.fromkeys([*build_settings(trained.config).metrics, *(name for name in metrics if name != "loss")])
    )
    members = trained.members or (trained,)
    each = [
        _evaluate(member, dataset, chosen, batch_size, names) for member, dataset in zip(members, datasets, strict=True)
    ]
    evaluation, measured = each[0]
    dataset, decoder = datasets[0], trained.decoder.on_cpu()
    if trained.members:
        outputs = trained.average([one.outputs for one, _ in each if one.outputs is not None])
        loss = build_loss(members[0].config, dataset)
        evaluation = evaluate_outputs(outputs, measured, loss, MetricSums(names, decoder))
    assert evaluation.outputs is not None
    targets = measured.truth.cpu()
    matrix = confusion_matrix(decoder, evaluation.outputs, targets) if dataset.task == "classification" else []
    return EvalResult(
        checkpoint=str(trained.path),
        split=chosen,
        num_samples=len(measured),
        metrics=evaluation.metrics,
        confidence=intervals(evaluation.metrics, decoder, evaluation.outputs, targets),
        baseline=baseline(dataset, chosen),
        per_class=per_class(matrix, dataset.classes) if matrix else [],
        confusion_matrix=matrix,
        classes=dataset.classes,
    )


def _evaluate(
    trained: TrainedModel, dataset: Dataset, chosen: str, batch_size: int | None, names: tuple[str, ...]
) -> tuple[Evaluation, Split]:
    """Evaluates a single network; returns the results and the encoded split."""
    device = next(trained.module.parameters()).device
    loss = build_loss(trained.config, dataset).to(device)
    settings = build_settings(trained.config)
    selected = replace(dataset, splits={"train": dataset.splits[chosen]})
    decoder = trained.decoder.on_cpu()
    # The size of the train split is unknown for new data: it was at least a batch.
    num_train = max(len(selected.train), settings.batch_size or 1) if chosen == "new" else len(dataset.train)
    with use_threads(threads_of_data(trained.config)):
        moved = move_far_windows(selected, changed_features(trained.config), decoder.preprocess)
        measured = encode(decoder.preprocess.transform(moved), decoder, loss, device)["train"]
        with use_threads(_num_threads(trained, measured, num_train)):
            evaluation = evaluate(
                trained.module,
                loss,
                measured,
                MetricSums(names, trained.decoder),
                batch_size=batch_size or settings.batch_size or num_train,
                mirror=settings.mirrored,
                keep_outputs=True,
                exact=batch_size is not None,
            )
    return evaluation, measured


def _num_threads(trained: TrainedModel, measured: Split, num_train: int) -> int:
    """Returns the number of threads that training used, so that results are bit-identical."""
    if torch.get_num_threads() == 1:
        return 1
    inputs = measured.network_inputs(slice(1))
    summary = summarize(trained.module, tuple(inputs.shape[1:]), dtype=inputs.dtype)
    return threads_of_network(trained.config, inputs.device, summary=summary, num_train=num_train)


def _as_dataset(trained: TrainedModel, new: Samples) -> Dataset:
    """Returns a dataset of new samples. Its train split is a single sample with the training mean, for the baseline."""
    schema = trained.metadata.data_schema
    assert new.targets is not None
    mean = Split(new.inputs[:1], torch.tensor([trained.metadata.target_mean], dtype=torch.float64))
    fields = {name: value for name, value in schema._asdict().items() if name != "input_shape"}
    splits = {"train": mean, "new": Split(new.inputs, new.targets, new.lengths, naive=new.naive)}
    return Dataset(splits, **fields, warnings=new.warnings)
