"""The result of a training run, for Python, notebooks and the page of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nnzoo.config import Config
from nnzoo.config.train import title_of
from nnzoo.data import DataInMemory, Dataset, OnDisk
from nnzoo.experiment.load import TrainedModel
from nnzoo.experiment.prepare import Experiment
from nnzoo.run.health import HealthRow
from nnzoo.run.history import History


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes:
        run_dir: The run directory; for a dry run, the directory that a real run would use.
        result: The content of result.json.
        config: The resolved config, with all defaults.
        history: The columns of metrics.csv: `history["val/loss"]` has one value per epoch.
        model: The network with its best weights, ready for raw data.
        data: The data, if it was passed from Python; it is not saved.
    """

    run_dir: Path
    result: dict[str, Any]
    config: Config
    history: History
    model: TrainedModel
    data: DataInMemory | None = field(default=None, repr=False)

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the best weights: "val/loss", "test/accuracy", ..."""
        metrics: dict[str, float] = self.result["metrics"]
        return metrics

    def _repr_html_(self) -> str:
        """Returns the HTML of a notebook cell: the status, and a table with one row per split."""
        metrics, baseline = self.metrics, self.result["baseline"]
        names = list(dict.fromkeys(key.partition("/")[2] for key in metrics))
        rows = [(split, metrics, split) for split in dict.fromkeys(key.partition("/")[0] for key in metrics)]
        others = dict.fromkeys(key.partition("/")[0] for key in baseline)
        rows += [(f"baseline ({split})", baseline, split) for split in others]
        for name, scores in self.result["baselines"].items():
            split = next(iter(scores)).partition("/")[0]
            rows.append((f"{title_of(name)} ({split})", scores, split))
        status = self.result["status"].replace("_", " ")
        best = f", best epoch {self.result['best_epoch']}" if self.result["best_epoch"] else ""
        parts = [
            f"<p><b>{escape(str(self.run_dir))}</b>: {status} after {self.result['epochs']} epochs{best}</p>",
            "<table><thead><tr><th></th>",
            *(f"<th>{escape(name)}</th>" for name in names),
            "</tr></thead><tbody>",
        ]
        for title, values, split in rows:
            cells = (values.get(f"{split}/{name}") for name in names)
            shown = "".join(f"<td>{'' if value is None else format(value, '.4g')}</td>" for value in cells)
            parts.append(f"<tr><th>{escape(title)}</th>{shown}</tr>")
        warnings = "".join(f"<li>{escape(text)}</li>" for text in self.result["warnings"])
        return "".join(parts) + "</tbody></table>" + (f"<ul>{warnings}</ul>" if warnings else "")


@dataclass(frozen=True, eq=False)
class RunWithData:
    """A finished run with its data, for pages about it.

    Attributes:
        folder: The run directory.
        result: The content of result.json.
        config: The resolved config.
        history: The content of metrics.csv.
        split: The split whose predictions are shown: test, val or train.
        digests: The checksum of each split of the data.
        experiment: The data and the loss; None if the data can't be read again.
        module: The network with its best weights, in evaluation mode on the experiment's device; None without weights.
        outputs: The outputs for `split` on the CPU, as returned by `Decoder.compact`; None if they were not computed.
        raw: The raw inputs of splits that `experiment.dataset` no longer has.
        missing: Why there is no experiment; empty if there is one.
        health: The rows of health.csv.
        remarks: A topic and a message for each simple reference that is not beaten, if they were just compared.
    """

    folder: Path
    result: dict[str, Any]
    config: Config
    history: History
    split: str
    digests: Mapping[str, str] = field(default_factory=dict)
    experiment: Experiment | None = None
    module: nn.Module | None = None
    outputs: Tensor | None = None
    raw: Mapping[str, Tensor] = field(default_factory=dict)
    missing: str = ""
    health: Sequence[HealthRow] = ()
    remarks: Sequence[tuple[str, str]] = ()

    @property
    def dataset(self) -> Dataset:
        """The dataset with its splits, before preprocessing. Its inputs may be missing: see `raw_inputs`."""
        assert self.experiment is not None
        return self.experiment.dataset

    def raw_inputs(self, split: str) -> Tensor | None:
        """Returns the raw inputs of a split, (N, *); None if they are no longer in memory."""
        if split in self.raw:
            return self.raw[split]
        inputs = self.dataset.splits[split].inputs
        return inputs if isinstance(inputs, OnDisk) or not inputs.is_meta else None


MAX_RAW_ENTRIES = 2**21
"""The raw inputs of a split are kept during training up to this number of entries, 16 MB."""


def kept_inputs(dataset: Dataset) -> dict[str, Tensor]:
    """Returns the raw inputs of the splits that are small enough to be kept for the page of the run."""
    return {
        name: split.inputs
        for name, split in dataset.splits.items()
        if not isinstance(split.inputs, OnDisk) and split.inputs.numel() <= MAX_RAW_ENTRIES
    }
