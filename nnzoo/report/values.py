"""Predicted values: truth against prediction, residuals, the worst rows, and forecasts of a series."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from nnzoo.data import SeriesReader
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Bars, Curve, Images, Lines, Part, Scatter, Section
from nnzoo.report.samples import Samples

MAX_TARGETS = 6
MAX_POINTS = 1500
MAX_WINDOWS = 200
BINS = 20
WORST = 12


def values_section(run: RunWithData) -> Section | None:
    """Returns the predictions of values; None for another task or without predictions."""
    if run.experiment is None or run.outputs is None or run.dataset.task != "regression":
        return None
    decoder = run.experiment.decoder.on_cpu()
    truth = decoder.truth(run.experiment.splits[run.split].truth.cpu()).double()
    predicted = decoder.values(run.outputs).double()
    names = list(run.dataset.target_names) or [f"target {i}" for i in range(truth.shape[1])]
    parts: list[Part] = []
    reader = run.dataset.reader
    if isinstance(reader, SeriesReader):
        naive = run.dataset.splits[run.split].naive
        parts += _forecasts(truth, predicted, naive, reader)
    parts += [
        *_against_truth(truth, predicted, names),
        _histogram(truth, predicted, names),
        _worst(run, truth, predicted),
    ]
    return Section("values", "Predictions", parts)


def _points(x: Tensor, y: Tensor) -> Curve:
    kept = torch.linspace(0, len(x) - 1, min(MAX_POINTS, len(x))).round().long()
    return x[kept].tolist(), y[kept].tolist()


def _against_truth(truth: Tensor, predicted: Tensor, names: list[str]) -> list[Part]:
    shown = range(min(MAX_TARGETS, len(names)))
    errors = predicted - truth
    more = f" The first {MAX_TARGETS} of {len(names)} targets." if len(names) > MAX_TARGETS else ""
    unit = names[0] if len(names) == 1 else "value"
    return [
        Scatter(
            "Truth and prediction",
            f"Perfect predictions lie on the diagonal.{more}",
            f"actual {unit}",
            f"predicted {unit}",
            {names[i]: _points(truth[:, i], predicted[:, i]) for i in shown},
            diagonal=True,
        ),
        Scatter(
            "Residuals",
            f"Prediction minus truth. A pattern is something that the network has not learned.{more}",
            f"predicted {unit}",
            "residual",
            {names[i]: _points(predicted[:, i], errors[:, i]) for i in shown},
            level=0.0,
        ),
    ]


def _histogram(truth: Tensor, predicted: Tensor, names: list[str]) -> Bars:
    errors = (predicted - truth)[:, 0]
    low, high = float(errors.min()), float(errors.max())
    counts = torch.histc(errors, BINS, low, high).long().tolist() if high > low else [len(errors)]
    width = (high - low) / len(counts)
    edges = [f"{float(f'{low + i * width:.3g}'):.7g}" for i in range(len(counts) + 1)]  # 3 digits, without exponent
    labels = [f"{start} to {end}" for start, end in itertools.pairwise(edges)]
    return Bars("Distribution of residuals", f"Of {names[0]}.", labels, {"samples": counts})


def _worst(run: RunWithData, truth: Tensor, predicted: Tensor) -> Images:
    """Returns the samples with the largest errors; with several targets, relative to the spread of each."""
    spread = truth.std(0, correction=0).clamp_min(1e-12)
    size = ((predicted - truth) / spread).abs().mean(1)
    samples = Samples(run, run.split)
    rows = size.argsort(descending=True, stable=True)[:WORST].tolist()
    items = [samples.picture(row, _label(truth[row].tolist(), predicted[row].tolist())) for row in rows]
    return Images("Worst rows", "The samples with the largest errors.", items)


def _label(truth: list[float], predicted: list[float]) -> str:
    shown = [", ".join(f"{value:.7g}" for value in values[:MAX_TARGETS]) for values in (truth, predicted)]
    return f"is {shown[0]}\npredicted {shown[1]}"


def _forecasts(truth: Tensor, predicted: Tensor, naive: Tensor | None, reader: SeriesReader) -> list[Part]:
    """Returns the forecasts one row ahead, the last whole forecast, and the error by horizon, of the first target."""
    num_targets, horizon = len(reader.target), reader.horizon
    name = reader.target[0]
    ahead = [values.reshape(len(values), horizon, num_targets)[..., 0] for values in (truth, predicted)]
    kinds = {"truth": ahead[0], "network": ahead[1]}
    if naive is not None:
        kinds["naive forecast"] = naive.double().reshape(len(naive), horizon, num_targets)[..., 0]
    last = min(MAX_WINDOWS, len(truth))
    windows = list(range(len(truth) - last + 1, len(truth) + 1))
    which = f"the last {last} of {len(truth)}" if last < len(truth) else f"all {last}"
    parts: list[Part] = [
        Lines(
            "Forecast one row ahead",
            f"Of {name}, for {which} windows.",
            "window",
            name,
            {kind: (windows, values[-last:, 0].tolist()) for kind, values in kinds.items()},
        )
    ]
    steps = list(range(1, horizon + 1))
    errors = {
        kind: (steps, (values - kinds["truth"]).square().mean(0).sqrt().tolist())
        for kind, values in kinds.items()
        if kind != "truth"
    }
    if horizon == 1:
        values = {kind: ys for kind, (_, ys) in errors.items()}
        return [*parts, Bars("Error", f"Root mean squared error of {name}.", ["1 row ahead"], values)]
    return [
        *parts,
        Lines(
            "The last forecast",
            f"Of {name}, from the last window of the split.",
            "rows ahead",
            name,
            {kind: (steps, values[-1].tolist()) for kind, values in kinds.items()},
        ),
        Lines("Error by horizon", f"Root mean squared error of {name}.", "rows ahead", "rmse", errors),
    ]
