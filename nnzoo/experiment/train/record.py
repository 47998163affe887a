"""Writes the files of a run: its config, checkpoint and results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from nnzoo import log
from nnzoo.builders import after_preprocess
from nnzoo.config import dump, to_yaml
from nnzoo.config.data import PATH_FIELDS
from nnzoo.data import reader_of
from nnzoo.data.baseline import baseline, shares
from nnzoo.data.dataset import Dataset
from nnzoo.experiment.evaluate.measure import confusion_matrix, predictions
from nnzoo.experiment.metadata import Metadata
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.reference.baselines import Baselines, fit_baselines
from nnzoo.experiment.reference.comparison import compare
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.experiment.train.tensorboard import TensorBoard
from nnzoo.models.parameters import load_weights
from nnzoo.run import directory
from nnzoo.run.artifact import Artifact, save_artifact
from nnzoo.run.checkpoint import save_checkpoint
from nnzoo.run.environment import environment, versions
from nnzoo.run.files import finite, write_csv, write_json, write_text
from nnzoo.run.health import write_health
from nnzoo.training.evaluate import Evaluation, evaluate
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.restarts.outcome import Restarts
from nnzoo.training.state import TrainState

PREDICTED_SPLITS = ("test", "val", "train")
"""Predictions and the confusion matrix are of the first of these splits that exists."""


@dataclass
class Recorder:
    """Writes the files of one run.

    Attributes:
        folder: The run directory.
        experiment: The experiment.
        summary: The summary of the network.
        num_parameters: The number of parameters of the network.
        digests: The checksum of each split of the data.
        warnings: The warnings of the run so far; the list is updated during the run.
        raw: The raw inputs that are kept for the page of the run.
        report: Writes the page of the run; None for no page.
        diagnose: Returns what went wrong, for result.json and the page; None to skip it.
        board: Writes the events of TensorBoard; None if they are not requested.
        written_best: The seed of the restart and the epoch of the weights in best.safetensors.
    """

    folder: Path
    experiment: Experiment
    summary: str
    num_parameters: int
    digests: dict[str, str]
    warnings: list[str]
    raw: dict[str, Tensor] = field(default_factory=dict)
    report: Callable[[RunWithData], object] | None = None
    diagnose: Callable[[RunWithData], list[dict[str, Any]]] | None = None
    board: TensorBoard | None = None
    written_best: tuple[int | None, int] = (None, 0)
    _fitted: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self._fitted = {name: tensor.cpu() for name, tensor in self.experiment.preprocess.state_dict().items()}

    def start(self) -> None:
        """Writes the files that are known before training, and removes the temporary files of a killed process."""
        directory.remove_leftovers(self.folder)
        config = self.experiment.config
        write_text(self.folder / directory.CONFIG, to_yaml(config))
        write_text(self.folder / directory.SUMMARY, self.summary)
        group = self.experiment.settings.group
        values = environment(self.experiment.device, config.seed, group.size)
        write_json(self.folder / directory.ENVIRONMENT, values)

    def save(self, state: TrainState, content: dict[str, Any] | None = None, restarts: Restarts | None = None) -> None:
        """Writes the checkpoint, then metrics.csv and the best weights so far, both of which the checkpoint contains.

        Only rank 0 writes.

        Args:
            state: The training state with the best weights of the run.
            content: The content of the checkpoint; by default, that of `state`.
            restarts: The outcomes of the restarts; None if there are no restarts.
        """
        if self.experiment.settings.group.rank:
            return
        metrics = self.epoch_metrics(state)
        save_checkpoint(
            self.folder / directory.CHECKPOINT,
            {
                **(content or state.state_dict()),
                "preprocess": self._fitted,
                "metadata": dump(self.metadata(state, metrics)),
                "data": self.digests,
                "warnings": list(self.warnings),
                "data_threads": self.experiment.num_threads,
            },
        )
        self.write_tables(state, restarts)
        if state.best is not None and which_best(state, restarts) != self.written_best:
            self.save_best(state, metrics, restarts)

    def log_epoch(self, state: TrainState) -> None:
        """Writes the events of a finished epoch, on rank 0."""
        if self.board is not None and not self.experiment.settings.group.rank:
            self.board.log_epoch(state)

    def close(self) -> None:
        """Closes the files that are open during the run."""
        if self.board is not None:
            self.board.close()

    def write_tables(self, state: TrainState, restarts: Restarts | None) -> None:
        """Writes metrics.csv, health.csv if there are probes, and restarts.csv with one row per restart."""
        state.history.write(self.folder / directory.METRICS)
        if state.health.rows:
            write_health(self.folder / directory.HEALTH, state.health.table())
        if restarts is not None:
            write_csv(self.folder / directory.RESTARTS, *restarts.table())

    def save_best(self, state: TrainState, metrics: dict[str, float], restarts: Restarts | None) -> None:
        """Writes best.safetensors."""
        assert state.best is not None
        artifact = Artifact(state.best, self._fitted, dump(self.metadata(state, metrics)))
        save_artifact(self.folder / directory.ARTIFACT, artifact)
        self.written_best = which_best(state, restarts)

    def epoch_metrics(self, state: TrainState) -> dict[str, float]:
        """Returns the metrics of the best epoch."""
        best = state.early_stopping.best_epoch
        return {key: value for key, value in state.history.rows[best - 1].items() if "/" in key} if best else {}

    def metadata(self, state: TrainState, metrics: dict[str, float]) -> Metadata:
        """Returns the metadata of the artifact."""
        experiment, dataset = self.experiment, self.experiment.dataset
        return Metadata(
            config=shared_config(experiment),
            **dataset.schema._asdict(),
            target_mean=target_mean(dataset),
            reader=reader_of(dataset).model_dump(mode="json"),
            network_input_shape=after_preprocess(experiment.config, experiment.facts),
            num_outputs=experiment.num_outputs,
            best_epoch=state.early_stopping.best_epoch,
            metrics=finite(metrics),
            data_digests=self.digests,
            versions={name: version for name, version in versions().items() if name in ("nnzoo", "torch")},
        )

    def finish(self, state: TrainState, status: str, restarts: Restarts | None = None) -> dict[str, Any]:
        """Loads the best weights into the model, evaluates them on every split, and writes the result.

        Args:
            state: As in `save`.
            status: The status at the end of the run.
            restarts: As in `save`.
        """
        if restarts is not None or status == "diverged":
            self.write_tables(state, restarts)
        metrics: dict[str, float] = {}
        outputs: Tensor | None = None
        baselines = Baselines({})
        remarks: tuple[tuple[str, str], ...] = ()
        dataset = self.experiment.dataset
        split = next(name for name in PREDICTED_SPLITS if name in dataset.splits)
        if state.best is not None and status == "interrupted":
            metrics = self.epoch_metrics(state)
        elif state.best is not None:
            load_weights(state.model, state.best)
            metrics, matrix, outputs = self._measure(state, split)
            self.save_best(state, metrics, restarts)
            baselines = fit_baselines(self.experiment, split)
            remarks = compare(self.experiment, split, metrics, matrix, outputs, baselines.linear)
        linear = {} if baselines.linear is None else baselines.linear.scores
        result = {
            "run_dir": str(self.folder),
            "status": status,
            "epochs": state.epoch,
            "best_epoch": state.early_stopping.best_epoch or None,
            "monitor": self.experiment.config.train.monitor,
            "metrics": metrics,
            "baseline": {
                f"{split}/{name}": value
                for split in sorted(dataset.splits.keys() - {"train"}, reverse=True) or ["train"]
                for name, value in baseline(dataset, split).items()
            },
            "baselines": baselines.metrics,
            "num_parameters": self.num_parameters,
            "seconds": round(state.seconds + state.epoch_seconds, 3),
            "device": str(self.experiment.device),
            "warnings": list(self.warnings),
            "linear": {f"{split}/{name}": value for name, value in linear.items()},
            "notes": [remark for _, remark in remarks],
        }
        if restarts is not None:
            result["restarts"] = restarts.as_dict()
        run = replace(self._with_data(state, result, split, outputs), remarks=remarks)
        result["findings"] = [] if status == "interrupted" else self._findings(run)
        write_json(self.folder / directory.RESULT, result)
        self._write_report(run)
        if self.board is not None:
            self.board.finish(state, result, has_restarts=restarts is not None)
        return result

    def _with_data(self, state: TrainState, result: dict[str, Any], split: str, outputs: Tensor | None) -> RunWithData:
        return RunWithData(
            self.folder,
            result,
            self.experiment.config,
            state.history,
            split,
            self.digests,
            self.experiment,
            state.model.eval() if outputs is not None else None,
            outputs,
            self.raw,
            health=tuple(state.health.table()),
        )

    def _findings(self, run: RunWithData) -> list[dict[str, Any]]:
        """Returns what went wrong. A run never fails because of its diagnosis: an error is only logged."""
        try:
            return [] if self.diagnose is None else self.diagnose(run)
        except Exception as error:
            log.debug("the run was not diagnosed (%s: %s)", type(error).__name__, error)
            return []

    def _write_report(self, run: RunWithData) -> None:
        """Writes the page of the run. A run never fails because of its page: an error becomes a warning."""
        try:
            if self.report is not None:
                self.report(run)
        except Exception as error:
            log.warning("the page of the run was not written (%s: %s)", type(error).__name__, error)

    def _measure(self, state: TrainState, split: str) -> tuple[dict[str, float], list[list[int]], Tensor]:
        """Evaluates every split and writes the predictions for one.

        Returns:
            The metrics, the confusion matrix, and the outputs for that split.
        """
        evaluations = {name: self._evaluate(state, name) for name in self.experiment.splits}
        outputs = evaluations[split].outputs
        assert outputs is not None
        matrix = self._write_predictions(split, outputs, self.experiment.splits[split].truth.cpu())
        metrics = {f"{name}/{key}": value for name, each in evaluations.items() for key, value in each.metrics.items()}
        return metrics, matrix, outputs

    def _evaluate(self, state: TrainState, split: str) -> Evaluation:
        settings = self.experiment.settings
        return evaluate(
            state.model,
            state.loss,
            self.experiment.splits[split],
            MetricSums(settings.metrics, self.experiment.decoder),
            batch_size=settings.batch_size or len(self.experiment.splits["train"]),
            mirror=settings.mirrored,
            keep_outputs=split == next(name for name in PREDICTED_SPLITS if name in self.experiment.splits),
        )

    def _write_predictions(self, split: str, outputs: Tensor, targets: Tensor) -> list[list[int]]:
        dataset, decoder = self.experiment.dataset, self.experiment.decoder
        decoder = decoder.on_cpu()
        header, rows = predictions(decoder, outputs, targets, dataset, split)
        write_csv(self.folder / directory.PREDICTIONS, header, rows)
        matrix = confusion_matrix(decoder, outputs, targets) if dataset.task == "classification" else []
        if matrix:
            labelled_rows = ([name, *row] for name, row in zip(dataset.classes, matrix, strict=True))
            write_csv(self.folder / directory.CONFUSION_MATRIX, ["actual", *dataset.classes], labelled_rows)
        return matrix


def which_best(state: TrainState, restarts: Restarts | None) -> tuple[int | None, int]:
    """Returns the seed of the restart and the epoch of the best weights."""
    leader = restarts.leader() if restarts else None
    seed = restarts.outcomes[leader].seed if restarts and leader is not None else None
    return seed, state.early_stopping.best_epoch


def shared_config(experiment: Experiment) -> dict[str, Any]:
    """Returns the config for an artifact: it contains no paths, and can be used without the training data."""
    config: dict[str, Any] = dump(experiment.config)
    del config["name"]
    # The artifact contains all weights, so loading it does not need the pretrained ones.
    config["model"]["pretrained"] = None
    if config["preprocess"]["normalize"] == "pretrained":
        fitted = experiment.preprocess.state_dict()
        kinds = {"quantiles": "quantile", "clip": "robust", "shift": "standardize"}
        config["preprocess"]["normalize"] = next((kinds[name] for name in kinds if name in fitted), "none")
    data = config["data"]
    if isinstance(data, dict):
        data |= {key: Path(data[key]).name for key in PATH_FIELDS if data.get(key)}
        data.pop("cache", None)
    class_weights = getattr(experiment.loss, "class_weights", None)
    if class_weights is not None:
        config["loss"]["class_weights"] = class_weights.tolist()
    return config


def target_mean(dataset: Dataset) -> tuple[float, ...]:
    """Returns the fraction of train samples per class or label, or the mean of each regression target."""
    train = dataset.train
    if dataset.task != "classification":
        return tuple(train.targets.double().mean(0).tolist())
    return tuple(shares(dataset.measured_split("train"), len(dataset.classes)).tolist())
