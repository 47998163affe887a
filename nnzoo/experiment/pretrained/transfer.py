"""The weights of a checkpoint on their way into a new network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from nnzoo.builders import output_scale
from nnzoo.config import Config
from nnzoo.config.model import output_of
from nnzoo.experiment.pretrained.matching import Match, MismatchError, fitted
from nnzoo.models import head_of
from nnzoo.models.inputs import input_weights


class Transfer:
    """Fits the weights of a checkpoint into a new network, tensor by tensor.

    Args:
        config: Of the new network.
        module: The new network, as initialized.
        weights: Of the checkpoint.
        inputs: How its inputs are matched; None: by position.
        outputs: How its outputs are matched; None: the last layer stays as initialized.
        why_new: Why the last layer stays as initialized.
    """

    def __init__(
        self,
        config: Config,
        module: nn.Module,
        weights: Mapping[str, Tensor],
        inputs: Match | None,
        outputs: Match | None,
        why_new: str,
    ) -> None:
        self.config = config
        self.own = module.state_dict()
        self.weights = weights
        self.head = head_of(module)
        self.trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
        self.inputs = inputs
        self.outputs = outputs
        self.why_new = why_new
        self.reading = input_weights(module)

    def tensors(self) -> dict[str, Tensor]:
        """Returns the new values of all tensors that the checkpoint has a share in.

        Raises:
            MismatchError: A tensor besides those of the last layer is missing, or has another shape.
        """
        names = [*self.own, *(name for name in self.weights if name not in self.own)]
        last = [name for name in names if name.startswith(f"{self.head}.")]
        found = {name: self._fitted(name) for name in names}
        if self.outputs is not None and any(found[name] is None for name in last):
            self.outputs, self.why_new = None, "it has another shape"
        kept = [name for name in names if self.outputs is not None or name not in last]
        for name in kept:
            if found[name] is None:
                raise MismatchError(self._difference(name))
        if not kept:
            raise MismatchError(
                f"the only layer of {self.config.model.name} is its last one, which starts as initialized: "
                f"{self.why_new}. Leave `pretrained` out."
            )
        return {name: tensor for name in kept if (tensor := found[name]) is not None}

    def _fitted(self, name: str) -> Tensor | None:
        """Returns the new value of a tensor; None if the checkpoint has none of that shape."""
        if name not in self.own or name not in self.weights:
            return None
        own, other = self.own[name], self.weights[name]
        sources: dict[int, Tensor] = {}
        axes = {each.name: (each.axis, each.fastest) for each in self.reading}
        if self.inputs is not None and name in axes:
            axis, fastest = axes[name]
            along = self.inputs.along(other.shape[axis], own.shape[axis], fastest=fastest)
            if along is None:
                return None
            sources[axis] = along
        if name.startswith(f"{self.head}.") and self.outputs is not None and self.outputs.there != self.outputs.here:
            return self._fitted_output(own, other, self.outputs, sources)
        return fitted(own, other, sources)

    def _fitted_output(self, own: Tensor, other: Tensor, outputs: Match, sources: dict[int, Tensor]) -> Tensor | None:
        """The same for a tensor of the last layer whose outputs have other names, or another order."""
        num_there, num_here = len(outputs.there), len(outputs.here)
        if other.ndim == 0 or other.shape[0] % num_there or own.shape[0] % num_here:
            # One output unit for two classes: the other order is the other sign, where 0 is what divides them.
            swapped = own.shape[:1] == other.shape[:1] == (1,) and num_here == 2 and not outputs.new
            if not swapped or output_scale(self.config) not in ("log_odds", "margins"):
                return None
            return fitted(own, -other, sources) if self._is_linear() else None
        along = outputs.along(other.shape[0], own.shape[0], fastest=False)
        return None if along is None else fitted(own, other, {**sources, 0: along})

    def _is_linear(self) -> bool:
        """Whether no activation follows the last layer."""
        output = output_of(self.config.model)
        return output is None or output.activation is None or output.activation.name == "identity"

    def _difference(self, name: str) -> str:
        shapes = [
            f"has the shape {tuple(tensors[name].shape)}" if name in tensors else "does not exist"
            for tensors in (self.weights, self.own)
        ]
        return (
            f"{name} {shapes[0]} in the checkpoint and {shapes[1]} in this model. All tensors but those of the last "
            "layer must have the same shape, apart from inputs that are matched by name."
        )

    def told(self) -> str:
        """Returns what became of the last layer."""
        if self.outputs is None:
            return f"the last layer ({self.head}) is initialized: {self.why_new}"
        how = self.outputs.told()
        return f"the last layer ({self.head}) is taken{f': {how}' if how else ''}"

    def changes(self) -> list[str]:
        """Returns one line for each kind of names that are new or gone."""
        told = []
        if self.inputs is not None:
            told += self.inputs.changes()
            frozen = [each.name for each in self.reading if each.name not in self.trained]
            if self.inputs.new and frozen:
                told.append(f"{frozen[0]} is frozen, so new inputs keep their initial weights. See `model.freeze`.")
        if self.outputs is not None:
            told += self.outputs.changes()
        return told
