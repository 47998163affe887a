"""Reads a finished run from its directory, with its data where that can be read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nnzoo import log
from nnzoo.config import load_config
from nnzoo.errors import CheckpointError, NnzooError
from nnzoo.experiment.checksums import changed_splits, digests_of
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.metadata import read_weights
from nnzoo.experiment.prepare import Experiment, prepare
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.experiment.train.folds import run_of_folds
from nnzoo.experiment.train.record import PREDICTED_SPLITS
from nnzoo.run.directory import ARTIFACT, METRICS, RESULT, find_run_folder
from nnzoo.run.history import History
from nnzoo.training.evaluate import evaluate
from nnzoo.training.measures.metrics import MetricSums


def read_run(text: str, runs_dir: str) -> RunWithData:
    """Reads a finished run.

    Args:
        text: A run directory, a run's name, or `latest`.
        runs_dir: The folder in which names of runs are looked up.

    Raises:
        UsageError: There is no such run.
        CheckpointError: A file of the run is damaged, or the run has no result.
    """
    folder = find_run_folder(text, Path(runs_dir))
    result, history = _result(folder), History.read(folder / METRICS)
    section = read_weights(folder / ARTIFACT)[2].config.get("model")
    custom = isinstance(section, dict) and section.get("name") == "custom"
    config = load_config(folder, ["train.device=cpu"], custom_model=custom)
    if config.train.folds is not None:
        return run_of_folds(folder, result, config)
    with use_threads(threads_of_data(config)), log.recording(quiet=True):
        try:
            trained = load(folder)
            experiment = prepare(config, saved={"preprocess": trained.preprocess.state_dict()})
            changed = changed_splits(trained.metadata.data_digests, digests_of(experiment.dataset))
        except NnzooError as error:
            split = next((name for name in PREDICTED_SPLITS if f"{name}/loss" in result["metrics"]), "train")
            reason = f"The page has no samples, since the network or its data can't be read again: {error}"
            return RunWithData(folder, result, config, history, split, missing=reason)
        digests = trained.metadata.data_digests
        if changed:
            split = next(name for name in PREDICTED_SPLITS if name in experiment.dataset.splits)
            reason = f"The page has no samples, since the data has changed since the training: {changed}."
            return RunWithData(folder, result, config, history, split, digests, missing=reason)
        return _measured(folder, result, history, trained, experiment)


def _measured(
    folder: Path, result: dict[str, Any], history: History, trained: TrainedModel, experiment: Experiment
) -> RunWithData:
    split = next(name for name in PREDICTED_SPLITS if name in experiment.splits)
    evaluation = evaluate(
        trained.module,
        experiment.loss,
        experiment.splits[split],
        MetricSums(("r2",) if experiment.dataset.task == "regression" else ("accuracy",), experiment.decoder),
        batch_size=experiment.settings.batch_size or len(experiment.splits["train"]),
        keep_outputs=True,
    )
    digests = trained.metadata.data_digests
    return RunWithData(
        folder, result, experiment.config, history, split, digests, experiment, trained.module, evaluation.outputs
    )


def _result(folder: Path) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        result["metrics"], result["baseline"], result["status"]
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(
            f"there is no readable {RESULT}: the run has not ended. `nnzoo train {folder} --resume` continues it.",
            where=str(folder),
        ) from None
    return result
