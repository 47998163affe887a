"""Measuring a trained network on a split, or on a new labelled file."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from nnzoo.build import build_dataset, build_loss, build_settings
from nnzoo.config import Config, load_config
from nnzoo.config.data import Arrays
from nnzoo.data import Dataset, load_arrays_split
from nnzoo.data.baseline import baseline
from nnzoo.errors import UsageError
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.measure import confusion_matrix, per_class
from nnzoo.experiment.prepare import encode
from nnzoo.experiment.record import PREDICTED_SPLITS
from nnzoo.run.directory import CONFIG
from nnzoo.training.evaluate import evaluate
from nnzoo.training.metrics import MetricSums


@dataclass(frozen=True)
class EvalResult:
    """What was measured.

    Attributes:
        checkpoint: The file.
        split: train, val or test; the path of new data.
        num_samples: Samples measured.
        metrics: "loss" and each metric.
        baseline: What a predictor that ignores the inputs gets.
        per_class: Precision, recall, F1 and support of each class; empty for other tasks.
        confusion_matrix: True class by row, predicted by column; empty for other tasks.
        classes: Class names.
    """

    checkpoint: str
    split: str
    num_samples: int
    metrics: dict[str, float]
    baseline: dict[str, float]
    per_class: list[dict[str, Any]]
    confusion_matrix: list[list[int]]
    classes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The object of `eval --json`."""
        return {key: list(value) if key == "classes" else value for key, value in vars(self).items()}


def evaluate_checkpoint(
    checkpoint: str | os.PathLike[str],
    *,
    split: str | None = None,
    data: str | os.PathLike[str] | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    runs_dir: str | os.PathLike[str] = "runs",
    model: nn.Module | None = None,
) -> EvalResult:
    """Measures a trained network.

    Args:
        checkpoint: A run directory (its best weights), a best.safetensors or last.pt, a run's name, or `latest`.
        split: train, val or test; default: test, val where there is none, else train.
        data: A new labelled file or folder of the same kind, in place of a split.
        batch_size: Samples at once; default: as in training, so that the numbers are the same to the last bit.
        device: auto, cpu, cuda, cuda:N or mps; default: the config's.
        runs_dir: Where names are looked up.
        model: Your own module, where the network was one.

    Raises:
        UsageError: There is no such checkpoint or split.
        CheckpointError: The checkpoint is damaged.
        DataError: The data is missing or does not fit.
    """
    trained = load(checkpoint, runs_dir=runs_dir, model=model, device=device or "auto")
    config = _with_data(trained)
    dataset = build_dataset(config)
    if data is not None:
        if split is not None:
            raise UsageError("--split names a part of the training data, --data is other data. Give one of the two.")
        chosen = str(data)
        dataset = replace(dataset, splits=dataset.splits | {chosen: _new_data(config, dataset, chosen)})
    else:
        chosen = split or next(name for name in PREDICTED_SPLITS if name in dataset.splits)
        if chosen not in dataset.splits:
            raise UsageError(f"there is no {chosen} split (there is: {', '.join(dataset.splits)}).", where="--split")
    return _measure(trained, config, dataset, chosen, batch_size)


def _measure(
    trained: TrainedModel, config: Config, dataset: Dataset, chosen: str, batch_size: int | None
) -> EvalResult:
    device = next(trained.module.parameters()).device
    loss = build_loss(config, dataset).to(device)
    settings = build_settings(config)
    only = replace(dataset, splits={"train": dataset.splits[chosen]})
    measured = encode(trained.preprocess.cpu().transform(only), trained.decoder, loss, device)["train"]
    trained.preprocess.to(device)
    found = evaluate(
        trained.module,
        loss,
        measured,
        MetricSums(settings.metrics, trained.decoder),
        batch_size=batch_size or settings.batch_size or len(dataset.train),
        keep_outputs=True,
        exact=batch_size is not None,
    )
    assert found.outputs is not None
    matrix = []
    if dataset.task == "classification":
        matrix = confusion_matrix(trained.decoder.on_cpu(), found.outputs, measured.targets.cpu())
    return EvalResult(
        checkpoint=str(trained.path),
        split=chosen,
        num_samples=len(measured),
        metrics=found.metrics,
        baseline=baseline(dataset, chosen),
        per_class=per_class(matrix, dataset.classes) if matrix else [],
        confusion_matrix=matrix,
        classes=dataset.classes,
    )


def _with_data(trained: TrainedModel) -> Config:
    """The config with the data where it is: beside an artifact or a checkpoint, config.yaml knows its path."""
    file = trained.path.parent / CONFIG
    if not file.is_file():
        return trained.config
    beside = load_config(file, custom_model=trained.config.model.name == "custom")
    return trained.config.model_copy(update={"data": beside.data})


def _new_data(config: Config, dataset: Dataset, path: str) -> Any:
    if not isinstance(config.data, Arrays):
        raise UsageError(f"the data source {config.data.name} has no files; --data is for arrays.", where="--data")
    return load_arrays_split(
        path=Path(path),
        task=dataset.task,
        layout=dataset.layout,
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        num_targets=len(dataset.target_names) if dataset.task == "regression" else 0,
        num_tokens=dataset.num_tokens,
    )
