"""Trains a shipped config with one seed and measures it."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from nnzoo.builders import build_dataset
from nnzoo.config import load_config
from nnzoo.config.base import Section
from nnzoo.config.metrics import main_metric
from nnzoo.experiment.checksums import digests_of
from nnzoo.experiment.train.finished import Run
from nnzoo.experiment.train.run import train
from nnzoo.recipes.results import Result, combined, config_digest
from nnzoo.run.environment import versions

PREFERRED = ("perplexity", "rmse")
"""Metrics that are compared if a config has them. Otherwise the first metric of the config is."""


class Measurement(Section):
    """The result of one training.

    Attributes:
        seed: The seed.
        metrics: The metrics of the best weights, such as "test/accuracy".
        baseline: The metrics of a predictor that ignores the inputs.
        baselines: The metrics of simple models that were fitted to the same train samples (`train.baselines`).
        monitored: The monitored metric of the best weights.
        num_parameters: The number of parameters of the network.
        epochs: The number of epochs.
        seconds: The processor time of the training, or its duration if it was resumed.
        versions: The versions of the packages.
    """

    seed: int
    metrics: dict[str, float]
    baseline: dict[str, float]
    baselines: dict[str, dict[str, float]] = Field({})
    monitored: float
    num_parameters: int
    epochs: int
    seconds: float
    versions: dict[str, str]


class MeasuredData(NamedTuple):
    """The data of a config.

    Attributes:
        digest: The checksum of all splits.
        sizes: The number of samples of each split.
    """

    digest: str
    sizes: Mapping[str, int]


def data_of(name: str, *, download: bool) -> MeasuredData:
    """Reads the data of a shipped config.

    Args:
        name: The name of the config.
        download: Whether data sets of torchvision may be downloaded.

    Raises:
        DataError: The data is missing.
    """
    config = load_config(name)
    if not download and getattr(config.data, "download", False):
        config = config.model_copy(update={"data": config.data.model_copy(update={"download": False})})
    dataset = build_dataset(config)
    return MeasuredData(combined(digests_of(dataset)), {key: len(split) for key, split in dataset.splits.items()})


def train_recipe(
    name: str, seed: int, runs_dir: str | os.PathLike[str], *, device: str = "cpu", quiet: bool = True
) -> tuple[Measurement, Run]:
    """Trains a shipped config, or continues its training in this folder.

    Args:
        name: The name of the config.
        seed: The seed.
        runs_dir: The folder of the run directory.
        device: The device.
        quiet: Whether to hide the progress.
    """
    named = f"{name}-seed{seed}"
    is_resumed = (Path(runs_dir) / named).exists()
    start = time.process_time()
    run = train(
        name,
        overrides={"seed": seed},
        name=named,
        runs_dir=runs_dir,
        device=device,
        resume=True,
        quiet=quiet,
        show=lambda _: None,
    )
    result = run.result
    measured = Measurement(
        seed=seed,
        metrics=_numbers(run.metrics),
        baseline=_numbers(result["baseline"]),
        baselines={model: _numbers(scores) for model, scores in result["baselines"].items()},
        monitored=run.history[result["monitor"]][result["best_epoch"] - 1],
        num_parameters=result["num_parameters"],
        epochs=result["epochs"],
        seconds=round(result["seconds"] if is_resumed else time.process_time() - start, 3),
        versions=versions(),
    )
    return measured, run


def _numbers(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns the metrics that are defined."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def headline(metrics: Iterable[str]) -> str:
    """Returns the metric of a recipe that is compared, such as "test/accuracy"."""
    main = main_metric(metrics)
    split = main.partition("/")[0]
    return next((f"{split}/{name}" for name in PREFERRED if f"{split}/{name}" in metrics), main)


def summarized(name: str, data: MeasuredData, measured: Sequence[Measurement]) -> Result:
    """Returns the result of a recipe over its seeds."""
    first = measured[0]
    metric = headline(list(first.metrics))
    return Result(
        metric=metric,
        seeds=tuple(each.seed for each in measured),
        values=tuple(each.metrics[metric] for each in measured),
        num_samples=data.sizes[metric.partition("/")[0]],
        baseline=first.baseline.get(metric),
        others={key: scores[metric] for key, scores in first.baselines.items() if metric in scores},
        num_parameters=first.num_parameters,
        epochs=round(statistics.median(each.epochs for each in measured)),
        seconds=round(statistics.median(each.seconds for each in measured), 3),
        config_digest=config_digest(name),
        data_digest=data.digest,
        versions=measured[-1].versions,
    )
