"""What expressions read of the trained variants of a lesson."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from nnzoo.config.metrics import direction
from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import UsageError
from nnzoo.lessons.functions.maths import Array, plain
from nnzoo.lessons.training import Replica, Variant, Weights, measure
from nnzoo.report.inside.network import Network
from nnzoo.run.health import COLUMNS
from nnzoo.run.history import History
from nnzoo.summaries import summarize

Moment = Literal["start", "best", "last"] | int
"""Which weights: the initial ones, the best ones, the last ones, or those after a number of steps."""
MAX_GRADIENT_SAMPLES = 1000


class Trained:
    """The functions over the trained variants. A name that is not known is an error with a suggestion.

    Args:
        variants: The variants by name.
    """

    def __init__(self, variants: Mapping[str, Variant]) -> None:
        self.variants = variants

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Returns the functions by the name that expressions use."""
        return {name: getattr(self, name) for name in NAMES}

    def variant(self, name: str) -> Variant:
        """Returns a variant."""
        if name not in self.variants:
            raise UsageError(f"'{name}' is not a variant.{did_you_mean(name, self.variants)}", where="lesson")
        return self.variants[name]

    def metric(self, variant: str, name: str) -> float:
        """Returns a metric of the best weights, such as "test/accuracy"; NaN after a training that diverged."""
        found = self.variant(variant)
        if found.replica.status == "diverged":
            return math.nan
        return float(_known(found.metrics, name, "metric"))

    def each_metric(self, variant: str, name: str) -> Array:
        """Returns a metric of the best weights of each restart; infinity where it diverged."""
        found = self.variant(variant)
        values = []
        for replica in found.replicas:
            if replica.status == "diverged":
                values.append(math.inf)
            else:
                module = found.with_weights(replica.weights).module
                values.append(float(_known(measure(found.experiment, module), name, "metric")))
        return np.array(values)

    def history(self, variant: str, column: str) -> Array:
        """Returns a column of metrics.csv, one value per epoch, of the best restart."""
        return _column(self.variant(variant).replica.history, column)

    def histories(self, variant: str, column: str) -> list[Array]:
        """Returns a column of metrics.csv for each restart."""
        return [_column(replica.history, column) for replica in self.variant(variant).replicas]

    def final(self, variant: str, column: str) -> float:
        """Returns the value of a column in the last epoch; infinity after a training that diverged."""
        return _last(self.variant(variant).replica, column)

    def restarts(self, variant: str, column: str) -> Array:
        """Returns the value in the last epoch for each restart; infinity where it diverged."""
        return np.array([_last(replica, column) for replica in self.variant(variant).replicas])

    def best_epoch(self, variant: str, column: str) -> int:
        """Returns the epoch, from 1, with the best value of a column."""
        values = self.history(variant, column)
        best = np.nanargmax(values) if direction(column.partition("/")[2]) == "max" else np.nanargmin(values)
        return int(best) + 1

    def epochs_to(self, variant: str, column: str, bound: float) -> float:
        """Returns the first epoch in which a loss is at most `bound`, or a score at least; infinity if there is none.

        With several restarts, it is their median.
        """
        better = direction(column.partition("/")[2]) == "max"
        found = []
        for values in self.histories(variant, column):
            reached = np.flatnonzero(values >= bound if better else values <= bound)
            found.append(float(reached[0] + 1) if len(reached) else math.inf)
        return float(np.median(found)) if math.isfinite(max(found)) else float(sorted(found)[len(found) // 2])

    def diverged(self, variant: str) -> bool:
        """Returns whether the loss became infinite or NaN, in every restart."""
        return all(replica.status == "diverged" for replica in self.variant(variant).replicas)

    def num_epochs(self, variant: str) -> int:
        """Returns the number of finished epochs."""
        return len(self.variant(variant).replica.history.rows)

    def num_steps(self, variant: str) -> int:
        """Returns the number of optimizer steps."""
        rows = self.variant(variant).replica.history.rows
        return int(rows[-1]["step"]) if rows else 0

    def rates(self, variant: str) -> Array:
        """Returns the learning rate of each epoch."""
        return self.history(variant, "lr")

    def parameters(self, variant: str) -> int:
        """Returns the number of parameters."""
        return sum(each.numel() for each in self.variant(variant).module.parameters())

    def neurons(self, variant: str) -> int:
        """Returns the number of units of all layers except the input."""
        network = self.variant(variant).network
        return summarize(network.module, network.input_shape, dtype=network.dtype).num_neurons

    def samples(self, variant: str, split: str = "train") -> int:
        """Returns the number of samples of a split."""
        return len(_known(self.variant(variant).experiment.splits, split, "split"))

    def weights(self, variant: str, pattern: str = "*", at: Moment = "best") -> Array:
        """Returns all values of the parameters whose names match a pattern, in one list."""
        return np.concatenate([each.ravel() for each in self._matching(variant, pattern, at).values()])

    def weight(self, variant: str, name: str, at: Moment = "best") -> Array:
        """Returns the values of one parameter, in its shape."""
        return next(iter(self._matching(variant, name, at).values()))

    def path(self, variant: str, pattern: str = "*", restart: int | None = None) -> Array:
        """Returns the values of parameters along the training: one row per kept step, the first before training.

        With several restarts, it is that of the best one, or of `restart`, counted from 0.
        """
        found = self.variant(variant)
        rows = []
        for _, weights in (found.replica if restart is None else found.replicas[int(restart)]).path:
            parts = [each.flatten() for name, each in weights.items() if fnmatchcase(name, pattern)]
            if not parts:
                _known(weights, pattern, "parameter")
            rows.append(torch.cat(parts).double().numpy())
        return np.stack(rows)

    def outputs(self, variant: str, inputs: ArrayLike, at: Moment = "best") -> Array:
        """Returns the outputs of the network for raw inputs, one row per input."""
        network = self.network(variant, at)
        return network.outputs(_prepared(network, inputs)).double().numpy()

    def probabilities(self, variant: str, inputs: ArrayLike, at: Moment = "best") -> Array:
        """Returns the probability of each class for raw inputs, one row per input."""
        network = self.network(variant, at)
        outputs = network.outputs(_prepared(network, inputs))
        return network.decoder.probabilities(outputs).double().numpy()

    def thinned(self, variant: str, inputs: ArrayLike, count: int, at: Moment = "last") -> Array:
        """Returns the probabilities of random thinned networks: (count, rows, classes), with dropout as in training."""
        network = self.network(variant, at)
        prepared = _prepared(network, inputs)
        for module in network.module.modules():
            module.train(isinstance(module, nn.Dropout))
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            passes = [network.decoder.probabilities(network.module(prepared)) for _ in range(int(count))]
        return torch.stack(passes).double().numpy()

    def predictions(self, variant: str, inputs: ArrayLike, at: Moment = "best") -> Array:
        """Returns the predicted class index, or the predicted value, for raw inputs."""
        network = self.network(variant, at)
        outputs = network.outputs(_prepared(network, inputs))
        if network.decoder.task == "regression":
            return network.decoder.values(outputs).double().numpy()[:, 0]
        return network.decoder.labels(outputs).numpy()

    def activations(self, variant: str, layer: str, inputs: ArrayLike | None = None, at: Moment = "best") -> Array:
        """Returns the outputs of a module for raw inputs; by default, for the train samples."""
        network = self.network(variant, at)
        _known(dict(network.module.named_modules()), layer, "module")
        rows = slice(0, MAX_GRADIENT_SAMPLES)
        given = network.experiment.splits["train"].network_inputs(rows) if inputs is None else None
        prepared = given if given is not None else _prepared(network, inputs if inputs is not None else [])
        return network.activations(prepared, [layer])[layer].double().numpy()

    def inputs(self, variant: str, split: str = "train") -> Array:
        """Returns the preprocessed inputs of a split."""
        found = self.variant(variant)
        chosen = _known(found.experiment.splits, split, "split")
        values: Array = chosen.network_inputs(slice(None)).cpu().double().numpy()
        return values

    def raw_inputs(self, variant: str, split: str = "train") -> Array:
        """Returns the raw inputs of a split, before preprocessing."""
        found = self.variant(variant)
        return np.asarray(_known(found.experiment.dataset.splits, split, "split").inputs[:], dtype=float)

    def components(self, variant: str) -> Array:
        """Returns the principal components that the preprocessing fitted, one per row."""
        fitted = self.variant(variant).experiment.preprocess.components
        if fitted is None:
            raise UsageError(f"{variant} has no preprocess.pca.", where="lesson")
        return fitted.T.double().numpy()

    def targets(self, variant: str, split: str = "train") -> Array:
        """Returns the class indices of a split, or its target values in their own unit."""
        found = self.variant(variant)
        chosen = _known(found.experiment.splits, split, "split")
        if found.experiment.dataset.task == "regression":
            return found.experiment.dataset.splits[split].targets.double().numpy()
        return found.experiment.decoder.target_labels(chosen.truth.cpu()).numpy()

    def gradients(self, variant: str, pattern: str = "*", at: Moment = "best") -> Array:
        """Returns the gradient of the loss of the train samples with respect to parameters, in one list."""
        found = self._gradients(variant, at)
        chosen = [each.ravel() for name, each in found.items() if fnmatchcase(name, pattern)]
        if not chosen:
            _known(found, pattern, "parameter")
        return np.concatenate(chosen)

    def gradient_norms(self, variant: str, pattern: str = "*.weight", at: Moment = "start") -> Array:
        """Returns the root mean square gradient of each matching parameter, from the first layer to the last."""
        found = self._gradients(variant, at)
        return np.array(
            [np.sqrt(np.mean(each**2)) for name, each in found.items() if fnmatchcase(name, pattern)], dtype=float
        )

    def health(self, variant: str, measure: str, layer: str, epoch: int | None = None) -> Any:
        """Returns a column of health.csv for a layer: one value per sampled epoch, or that of `epoch`, such as -1."""
        rows = self.variant(variant).replica.health
        by_layer = {row.layer: [each for each in rows if each.layer == row.layer] for row in rows}
        if measure not in COLUMNS:
            _known(dict.fromkeys(COLUMNS), measure, "measure")
        values = np.array([getattr(row, measure) for row in _known(by_layer, layer, "layer")], dtype=float)
        return values if epoch is None else plain(values[int(epoch)])

    def layers(self, variant: str) -> list[str]:
        """Returns the names of the layers in health.csv."""
        return list(dict.fromkeys(row.layer for row in self.variant(variant).replica.health))

    def loss_over(self, variant: str, name: str, first: ArrayLike, second: ArrayLike) -> Array:
        """Returns the train loss over the two values of a parameter, (second, first); other weights are as trained."""
        network = self.variant(variant).network
        parameter = dict(network.module.named_parameters())[name]
        split, loss = network.experiment.splits["train"], network.experiment.loss
        inputs = split.network_inputs(slice(None))
        found = np.zeros((len(np.asarray(second)), len(np.asarray(first))))
        with torch.no_grad():
            for i, y in enumerate(np.asarray(second)):
                for j, x in enumerate(np.asarray(first)):
                    parameter.copy_(torch.tensor([x, y]).reshape(parameter.shape))
                    found[i, j] = float(loss(network.module(inputs), split.targets))
        return found

    def network(self, variant: str, at: Moment) -> Network:
        """Returns the network of a variant with the weights of a moment."""
        found = self.variant(variant)
        return found.with_weights(_weights_at(found.replica, at))

    def _matching(self, variant: str, pattern: str, at: Moment) -> dict[str, Array]:
        weights = _weights_at(self.variant(variant).replica, at)
        found = {name: each.double().numpy() for name, each in weights.items() if fnmatchcase(name, pattern)}
        if not found:
            _known(weights, pattern, "parameter")
        return found

    def _gradients(self, variant: str, at: Moment) -> dict[str, Array]:
        network = self.network(variant, at)
        split = network.experiment.splits["train"]
        rows = slice(0, MAX_GRADIENT_SAMPLES)
        inputs = split.network_inputs(rows)
        lengths = network.lengths(split, rows)
        module = network.module.train()
        outputs = module(inputs) if lengths is None else module(inputs, lengths)
        loss = network.experiment.loss(outputs, split.targets[rows])
        named = {name: each for name, each in module.named_parameters() if each.requires_grad}
        gradients = torch.autograd.grad(loss, list(named.values()))
        return {name: each.double().numpy() for name, each in zip(named, gradients, strict=True)}


NAMES = (
    *("metric", "each_metric", "history", "histories", "final", "restarts", "best_epoch", "epochs_to", "diverged"),
    *("num_epochs", "num_steps", "rates", "parameters", "neurons", "samples", "weights", "weight", "path"),
    *("outputs", "probabilities", "thinned", "predictions", "activations", "inputs", "raw_inputs", "components"),
    *("targets", "gradients", "gradient_norms", "health", "layers", "loss_over"),
)
"""The functions that expressions may call."""


def _known(found: Mapping[str, Any], name: str, noun: str) -> Any:
    if name not in found:
        shown = ", ".join(list(found)[:12])
        raise UsageError(f"'{name}' is not a {noun}.{did_you_mean(name, found)} ({shown})", where="lesson")
    return found[name]


def _column(history: History, column: str) -> Array:
    if not history.rows:
        return np.zeros(0)
    if column not in history:
        _known(history, column, "column")
    return np.array(history[column])


def _last(replica: Replica, column: str) -> float:
    if replica.status == "diverged" or not replica.history.rows:
        return math.inf
    return float(_column(replica.history, column)[-1])


def _weights_at(replica: Replica, at: Moment) -> Weights:
    if at == "start":
        return replica.path[0][1]
    if isinstance(at, int):
        # The weights after some steps are not kept: the closest earlier ones.
        return [weights for step, weights in replica.path if step <= at][-1]
    if at not in ("best", "last"):
        raise UsageError(f"expected start, best, last or a number of steps, got {at!r}.", where="lesson")
    return replica.weights if at == "best" else replica.last


def _prepared(network: Network, inputs: ArrayLike) -> torch.Tensor:
    """Returns raw inputs after the preprocessing of the network."""
    raw = network.experiment.dataset.train.inputs
    array = np.asarray(inputs)
    dtype = raw.dtype if raw.dtype in (torch.int64, torch.int32) else torch.float64
    prepared: torch.Tensor = network.experiment.preprocess(torch.as_tensor(array).to(dtype))
    return prepared.to(network.dtype)
