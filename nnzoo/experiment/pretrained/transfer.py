"""Fits the weights of a checkpoint into a new network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from nnzoo.builders import frozen_epochs, output_scale
from nnzoo.config import Config
from nnzoo.config.model import output_of
from nnzoo.experiment.pretrained.matching import Match, MismatchError, fit_tensor
from nnzoo.models import head_of
from nnzoo.models.inputs import input_weights


class Transfer:
    """Fits the weights of a checkpoint into a new network, tensor by tensor.

    Args:
        config: The config of the new network.
        module: The initialized new network.
        weights: The weights of the checkpoint.
        inputs: The match of its inputs; None to match by position.
        outputs: The match of its outputs; None keeps the initial last layer.
        why_new: The reason for keeping the initial last layer.
        checkpoint_entries: `InputWeights.inputs` of the network of the checkpoint, by the name of the tensor.
    """

    def __init__(
        self,
        config: Config,
        module: nn.Module,
        weights: Mapping[str, Tensor],
        inputs: Match | None,
        outputs: Match | None,
        why_new: str,
        checkpoint_entries: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self.config = config
        self.own = module.state_dict()
        self.weights = weights
        self.head = head_of(module)
        later = {name for name, epochs in frozen_epochs(config, module).items() if epochs < math.inf}
        frozen = {name for name, parameter in module.named_parameters() if not parameter.requires_grad}
        self.frozen = frozen - later
        self.inputs = inputs
        self.outputs = outputs
        self.why_new = why_new
        self.reading = input_weights(module)
        self.checkpoint_entries = checkpoint_entries or {}

    def tensors(self) -> dict[str, Tensor]:
        """Returns the new values of all tensors that change.

        Raises:
            MismatchError: A tensor outside the last layer is missing, or has a different shape.
        """
        names = [*self.own, *(name for name in self.weights if name not in self.own)]
        last = [name for name in names if name.startswith(f"{self.head}.")]
        tensors = {name: self._fit(name) for name in names}
        if self.outputs is not None and any(tensors[name] is None for name in last):
            self.outputs, self.why_new = None, "it has a different shape"
        kept = [name for name in names if self.outputs is not None or name not in last]
        for name in kept:
            if tensors[name] is None:
                raise MismatchError(self._difference(name))
        if not kept:
            raise MismatchError(
                f"nothing can be copied: {self.config.model.name} has only a last layer, which keeps its initial "
                f"values, since {self.why_new}. Leave `pretrained` out."
            )
        return {name: tensor for name in kept if (tensor := tensors[name]) is not None}

    def _fit(self, name: str) -> Tensor | None:
        """Returns the new value of a tensor; None if the checkpoint has no tensor of that shape."""
        if name not in self.own or name not in self.weights:
            return None
        own, other = self.own[name], self.weights[name]
        sources: dict[int, Tensor] = {}
        reading = next((each for each in self.reading if each.name == name), None)
        if self.inputs is not None and reading is not None:
            axis = reading.axis
            if reading.inputs is not None:
                entries = self.checkpoint_entries.get(name, ())
                fits = other.ndim > axis and len(entries) == other.shape[axis]
                indices = self.inputs.indices_of_entries(entries, reading.inputs) if fits else None
            else:
                indices = self.inputs.indices_along(other.shape[axis], own.shape[axis], fastest=reading.fastest)
            if indices is None:
                return None
            sources[axis] = indices
        outputs = self.outputs if name.startswith(f"{self.head}.") else None
        if outputs is not None and outputs.checkpoint_names != outputs.data_names:
            return self._fit_output(own, other, outputs, sources)
        return fit_tensor(own, other, sources)

    def _fit_output(self, own: Tensor, other: Tensor, outputs: Match, sources: dict[int, Tensor]) -> Tensor | None:
        """Returns the new value of a last-layer tensor whose outputs have different names or a different order."""
        num_checkpoint, num_data = len(outputs.checkpoint_names), len(outputs.data_names)
        if other.ndim == 0 or other.shape[0] % num_checkpoint or own.shape[0] % num_data:
            # Two classes have one output unit with the decision boundary at 0: swapping them changes its sign.
            swapped = own.shape[:1] == other.shape[:1] == (1,) and num_data == 2 and not outputs.new
            if not swapped or output_scale(self.config) not in ("log_odds", "margins"):
                return None
            return fit_tensor(own, -other, sources) if self._is_linear() else None
        indices = outputs.indices_along(other.shape[0], own.shape[0], fastest=False)
        return None if indices is None else fit_tensor(own, other, {**sources, 0: indices})

    def _is_linear(self) -> bool:
        """Returns whether the last layer has no activation."""
        output = output_of(self.config.model)
        return output is None or output.activation is None or output.activation.name == "identity"

    def _difference(self, name: str) -> str:
        shapes = [
            f"has the shape {tuple(tensors[name].shape)}" if name in tensors else "does not exist"
            for tensors in (self.weights, self.own)
        ]
        return (
            f"{name} {shapes[0]} in the checkpoint and {shapes[1]} in this model. All tensors except those of the last "
            "layer must have the same shape, except along inputs that are matched by name."
        )

    def describe(self) -> str:
        """Describes whether the last layer is copied or initialized."""
        if self.outputs is None:
            return f"the last layer ({self.head}) is initialized: {self.why_new}"
        how = self.outputs.describe()
        return f"the last layer ({self.head}) is copied{f': {how}' if how else ''}"

    def changes(self) -> list[str]:
        """Returns lines on inputs and outputs that are new or missing, and one if new inputs feed a frozen layer."""
        lines = []
        if self.inputs is not None:
            lines += self.inputs.changes()
            frozen = [each.name for each in self.reading if each.name in self.frozen]
            if self.inputs.new and frozen:
                lines.append(f"{frozen[0]} is frozen, so new inputs keep their initial weights. See `model.freeze`.")
        if self.outputs is not None:
            lines += self.outputs.changes()
        return lines
