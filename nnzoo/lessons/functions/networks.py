"""What expressions measure on the networks of variants, apart from their training."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from nnzoo.experiment.train.start import build_network
from nnzoo.lessons.functions.maths import Array
from nnzoo.lessons.functions.trained import MAX_GRADIENT_SAMPLES, Moment, Trained
from nnzoo.report.inside.network import Network
from nnzoo.training.batches.order import arguments_of


class Networks:
    """Measurements of the networks of variants.

    Args:
        trained: The trained variants.
    """

    def __init__(self, trained: Trained) -> None:
        self.trained = trained

    def functions(self) -> dict[str, Callable[..., Array]]:
        """Returns the functions by the name that expressions use."""
        return {"initial_variances": self.initial_variances, "gradient_pairs": self.gradient_pairs}

    def initial_variances(self, variant: str, networks: int = 1) -> Array:
        """Returns the variance of the outputs of each layer before training, over units and train samples.

        With several networks, whose seeds are consecutive, it is their mean.
        """
        found = self.trained.variant(variant)
        names = _layers(found.module)
        rows = []
        for index in range(int(networks)):
            module = build_network(found.experiment, None, found.config.seed + index).eval()
            network = Network(found.network.run, found.experiment, module)
            outputs = network.activations(network.inputs(found.experiment.splits["train"], _SAMPLES), names)
            rows.append([float(outputs[name].double().var(unbiased=False)) for name in names])
        means: Array = np.mean(rows, axis=0)
        return means

    def gradient_pairs(self, variant: str, count: int = 40, step: float = 1e-6, at: Moment = "start") -> Array:
        """Returns rows (finite difference, derivative by backpropagation) of the train loss, in float64.

        Args:
            variant: The variant.
            count: The number of weights, evenly spaced over all parameters.
            step: The change of a weight for the central difference.
            at: The weights: start, best or last.
        """
        network = self.trained.network(variant, at)
        split = network.experiment.splits["train"]
        module, loss = network.module.double().train(), copy.deepcopy(network.experiment.loss).double()
        inputs, targets = (_double(each[_SAMPLES]) for each in (split.network_inputs(slice(None)), split.targets))
        arguments = arguments_of(module, inputs, network.lengths(split, _SAMPLES))
        parameters = [each for each in module.parameters() if each.requires_grad]
        for each in parameters:
            each.data = each.data.contiguous()
        derivatives = torch.autograd.grad(loss(module(*arguments), targets), parameters)
        places = [
            (each, derivative, i)
            for each, derivative in zip(parameters, derivatives, strict=True)
            for i in range(each.numel())
        ]
        chosen = {round(i) for i in np.linspace(0, len(places) - 1, int(count))}
        rows = []
        with torch.no_grad():
            for parameter, derivative, i in (places[index] for index in sorted(chosen)):
                values, original = parameter.view(-1), float(parameter.view(-1)[i])
                ends = []
                for value in (original + step, original - step):
                    values[i] = value
                    ends.append(float(loss(module(*arguments), targets)))
                values[i] = original
                rows.append(((ends[0] - ends[1]) / (2 * step), float(derivative.reshape(-1)[i])))
        return np.array(rows)


def _layers(module: nn.Module) -> list[str]:
    """Returns the paths of the layers with weights, from the inputs on, each with the activation that follows it."""
    weights = [name.rpartition(".")[0] for name, each in module.named_parameters() if each.ndim > 1]
    return list(dict.fromkeys(path.rpartition(".")[0] or path for path in weights))


def _double(values: Tensor) -> Tensor:
    return values.double() if values.is_floating_point() else values


_SAMPLES = slice(0, MAX_GRADIENT_SAMPLES)
