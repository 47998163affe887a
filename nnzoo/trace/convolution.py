"""Convolutions and pooling, position by position."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

from torch import Tensor, nn

from nnzoo.models.blocks import GlobalPooling
from nnzoo.trace.expression import Call, Equation, Expression, Frac, Num
from nnzoo.trace.layers import Layer
from nnzoo.trace.linked import limited
from nnzoo.trace.record import Recorded
from nnzoo.trace.stage import Group, Limits, Place, Stage, Weight


class ConvLayer(Layer):
    """A convolution. Its units are filters, which compute one sum per position of the window."""

    @property
    def window(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The stride, the dilation, and the zeros that are added before each axis."""
        module: Any = self.links[0].module
        padding = module.padding
        if padding == "same":
            # torch adds the larger part after the axis.
            sizes = zip(module.dilation, module.kernel_size, strict=True)
            padding = tuple(dilation * (size - 1) // 2 for dilation, size in sizes)
        return module.stride, module.dilation, padding

    def _group(self, channel: int) -> int:
        """Returns the first input channel that a filter reads."""
        module: Any = self.links[0].module
        group: int = channel // (module.out_channels // module.groups)
        return group * self.weight.shape[1]

    def fan_in(self, channel: int, position: Place) -> list[tuple[Place, Place]]:
        stride, dilation, padding = self.window
        first, sizes = self._group(channel), self.before.values.shape[2:]
        found = []
        for inner in range(self.weight.shape[1]):
            for offset in product(*(range(size) for size in self.weight.shape[2:])):
                at = tuple(
                    place * step - pad + shift * spread
                    for place, step, pad, shift, spread in zip(position, stride, padding, offset, dilation, strict=True)
                )
                # Zeros around the input add nothing.
                if all(0 <= each < size for each, size in zip(at, sizes, strict=True)):
                    found.append(((channel, inner, *offset), (first + inner, *at)))
        return found

    def fan_out(self, place: Place) -> list[tuple[Place, Place]]:
        stride, dilation, padding = self.window
        sizes = self.links[0].values.shape[2:]
        found = []
        for channel in range(self.weight.shape[0]):
            inner = place[0] - self._group(channel)
            if not 0 <= inner < self.weight.shape[1]:
                continue
            for offset in product(*(range(size) for size in self.weight.shape[2:])):
                shifted = [
                    at + pad - shift * spread
                    for at, pad, shift, spread in zip(place[1:], padding, offset, dilation, strict=True)
                ]
                position = tuple(each // step for each, step in zip(shifted, stride, strict=True))
                fits = all(each % step == 0 for each, step in zip(shifted, stride, strict=True))
                if fits and all(0 <= each < size for each, size in zip(position, sizes, strict=True)):
                    found.append(((channel, inner, *offset), (channel, *position)))
        return found

    def uses(self, weight: Place) -> list[tuple[Place, Place]]:
        stride, dilation, padding = self.window
        channel, inner, *offset = weight
        source, sizes = self._group(channel) + inner, self.before.values.shape[2:]
        found = []
        for position in product(*(range(size) for size in self.links[0].values.shape[2:])):
            at = tuple(
                place * step - pad + shift * spread
                for place, step, pad, shift, spread in zip(position, stride, padding, offset, dilation, strict=True)
            )
            if all(0 <= each < size for each, size in zip(at, sizes, strict=True)):
                found.append(((channel, *position), (source, *at)))
        return found

    def title(self) -> str:
        module: Any = self.links[0].module
        size = " x ".join(map(str, module.kernel_size))
        return super().title().replace(self.name, f"{self.name}: {len(self.weight)} filters of {size}", 1)


class PoolStage(Stage):
    """Max or average pooling of each channel.

    Args:
        name: The layer.
        letter: The start of the symbols of its outputs.
        recorded: The pooling module in the step.
        source: The stage before.
    """

    def __init__(self, name: str, letter: str, recorded: Recorded, source: Stage) -> None:
        super().__init__(name, letter, source.rows, recorded.outputs, recorded.grad, source)
        module: Any = recorded.module
        axes = source.values.ndim - 2
        self.shares_ties = isinstance(module, GlobalPooling)
        if isinstance(module, GlobalPooling):
            self.is_max = module.kind == "max"
            self.kernel = tuple(source.values.shape[2:])
            self.stride, self.padding = self.kernel, (0,) * axes
        else:
            self.is_max = isinstance(module, nn.MaxPool1d | nn.MaxPool2d)
            self.kernel, self.stride, self.padding = (
                _per_axis(each, axes) for each in (module.kernel_size, module.stride, module.padding)
            )

    def window(self, place: Place) -> list[Place]:
        """Returns the places of the inputs that an output is computed from."""
        sizes = self.before.values.shape[2:]
        found = []
        for offset in product(*(range(size) for size in self.kernel)):
            at = tuple(
                each * step - pad + shift
                for each, step, pad, shift in zip(place[1:], self.stride, self.padding, offset, strict=True)
            )
            if all(0 <= each < size for each, size in zip(at, sizes, strict=True)):
                found.append((place[0], *at))
        return found

    def positions(self, limits: Limits) -> list[Place]:
        """Returns the positions that are shown."""
        return list(product(*(range(size) for size in self.values.shape[2:])))[: limits.places]

    def forward(self, limits: Limits) -> Group:
        equations = []
        for row in self.shown_rows(limits):
            for unit in self.shown_units(limits):
                for position in self.positions(limits):
                    result = self.output(row, (unit, *position))
                    equations.append(Equation(result.name, result.value, self._formula(row, (unit, *position), limits)))
        kind = "max" if self.is_max else "average"
        size = " x ".join(map(str, self.kernel))
        return Group(f"{self.name}: {kind} of {size} windows", equations, self.left_out(limits))

    def _formula(self, row: int, place: Place, limits: Limits) -> Expression:
        values = [self.before.output(row, at) for at in self.window(place)]
        if self.is_max:
            if len(values) <= limits.terms + 1:
                return Call("max", values, max)
            largest = max(values[limits.terms :], key=lambda value: value.value)
            return Call("max", [*values[: limits.terms], largest], max)
        total = limited([(v,) for v in values], limits.terms, lambda v: v, lambda left: sum(v.value for (v,) in left))
        return Frac(total, Num(math.prod(self.kernel)))

    def left_out(self, limits: Limits) -> str:
        """Returns how many channels, positions and samples are not shown."""
        parts = []
        for count, shown, name in (
            (self.values.shape[1], len(self.shown_units(limits)), "channel"),
            (math.prod(self.values.shape[2:]), len(self.positions(limits)), "position"),
            (len(self.rows), len(self.shown_rows(limits)), "sample"),
        ):
            more = count - shown
            parts += [f"{more} more {name}{'s' * (more > 1)}"] * (more > 0)
        return ", ".join(parts)

    def pull(self, row: int, place: Place, limit: int) -> Expression:
        terms: list[Expression] = []
        for position in self._windows_with(place):
            output = (place[0], *position)
            grad = self.grad(row, output)
            if not self.is_max:
                terms.append(Frac(grad, Num(math.prod(self.kernel))))
                continue
            window = self.window(output)
            values = [float(self.before.values[(row, *at)]) for at in window]
            ties = [at for at, value in zip(window, values, strict=True) if value == max(values)]
            if self.shares_ties and place in ties:
                terms.append(grad if len(ties) == 1 else Frac(grad, Num(len(ties))))
            elif ties and ties[0] == place:
                terms.append(grad)
        return limited([(t,) for t in terms], limit, lambda t: t, lambda left: sum(t.evaluate() for (t,) in left))

    def _windows_with(self, place: Place) -> list[Place]:
        """Returns the positions of the outputs whose window has an input."""
        ranges = []
        for at, size, step, pad, count in zip(
            place[1:], self.kernel, self.stride, self.padding, self.values.shape[2:], strict=True
        ):
            ranges.append([each for each in range(count) if 0 <= at + pad - each * step < size])
        return list(product(*ranges))

    def backward(self, limits: Limits) -> Group:
        equations = []
        for unit in self.shown_units(limits):
            for row in self.shown_rows(limits):
                for position in self.positions(limits):
                    equations += self.incoming(row, (unit, *position), limits.terms)
        return Group(self.name, equations, self.left_out(limits))

    def weights(self, limits: Limits) -> list[Weight]:  # noqa: ARG002
        return []


def _per_axis(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def channels_first(inputs: Tensor, num_axes: int) -> Tensor:
    """Returns sequences (N, T, F) as (N, F, T); images stay (N, C, H, W)."""
    return inputs.transpose(1, 2) if num_axes == 1 else inputs
