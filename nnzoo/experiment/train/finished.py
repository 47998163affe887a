"""The result of `nnzoo.train`, for Python and notebooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from nnzoo.config import Config
from nnzoo.data import DataInMemory
from nnzoo.experiment.load import TrainedModel
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
