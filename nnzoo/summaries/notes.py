"""The notes below the table of a summary."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from nnzoo.summaries.collect import Call, Recording
from nnzoo.summaries.compute import MAX_ROWS_PER_MODULE, LayerRow

_MAX_NAMES = 8

# Layers that slide a window, by the number of axes it slides along.
_WINDOWED = {
    1: (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d),
    2: (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d),
    3: (nn.Conv3d, nn.MaxPool3d, nn.AvgPool3d),
}


def border_notes(recording: Recording) -> list[str]:
    """Returns notes on layers whose (W - K + 2P) / S + 1 is not an integer, so that no window covers the border.

    With dilation D, K is D * (K - 1) + 1. Layers with the same sizes share a note. Pooling with `ceil_mode`, and
    convolutions whose padding is a string, have no note.
    """
    names_by_text: dict[str, dict[str, None]] = defaultdict(dict)
    for call in recording.calls:
        for text in _unread_borders(call):
            names_by_text[text][call.name or type(call.module).__name__] = None
    return [f"{_listed(names)}: {text}" for text, names in names_by_text.items()]


def frozen_notes(model: nn.Module, epochs: Mapping[str, float]) -> list[str]:
    """Returns notes on the frozen parameters; a completely frozen module is listed as `name.*`.

    Args:
        model: The model.
        epochs: The number of epochs for which parameters are frozen, by name; others are frozen for good.
    """
    frozen: dict[float, list[str]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            frozen.setdefault(epochs.get(name, math.inf), []).append(name)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    total, notes = sum(sizes.values()), []
    for until, names in sorted(frozen.items(), reverse=True):
        others = {prefix for name in sizes.keys() - set(names) for prefix in _prefixes(name)}
        when = "epoch" if until == 1 else f"{until:g} epochs"
        how = "frozen" if math.isinf(until) else f"frozen for the first {when}"
        if not others:
            return [f"all {total:,} parameters are {how}"]
        # The shortest prefix without another parameter; the name itself always qualifies.
        shortest = {name: next(prefix for prefix in _prefixes(name) if prefix not in others) for name in names}
        patterns = dict.fromkeys(prefix if prefix == name else f"{prefix}.*" for name, prefix in shortest.items())
        count = sum(sizes[name] for name in names)
        notes.append(f"{count:,} of {total:,} parameters are {how}: {_listed(patterns)}")
    return notes


def repeat_notes(recording: Recording, layers: Sequence[LayerRow]) -> list[str]:
    """Returns a note on the modules that are called more often than the table has rows for them."""
    num_calls = Counter(call.name for call in recording.calls)
    repeated = dict.fromkeys(row.name for row in layers if num_calls[row.name] > MAX_ROWS_PER_MODULE)
    if not repeated:
        return []
    names = _listed([f"{name} ({num_calls[name]} times)" for name in repeated])
    return [f"the table shows the first {MAX_ROWS_PER_MODULE} calls of {names}; FLOPs count all of them"]


def _unread_borders(call: Call) -> Iterator[str]:
    """Yields one text per distinct axis whose last positions are not covered by any window."""
    layer: Any = call.module
    num_axes = next((num_axes for num_axes, kinds in _WINDOWED.items() if isinstance(layer, kinds)), 0)
    if not num_axes or call.input_shape is None or isinstance(layer.padding, str) or getattr(layer, "ceil_mode", False):
        return
    axes = zip(
        call.input_shape[-num_axes:],
        _per_axis(layer.kernel_size, num_axes),
        _per_axis(layer.padding, num_axes),
        _per_axis(layer.stride, num_axes),
        _per_axis(getattr(layer, "dilation", 1), num_axes),
        strict=True,
    )
    for width, kernel, pad, stride, dilation in dict.fromkeys(axes):
        window = dilation * (kernel - 1) + 1
        unread = (width - window + 2 * pad) % stride
        if unread:
            size = (width - window + 2 * pad) / stride + 1
            yield (
                f"(W - K + 2P) / S + 1 = ({width} - {window} + 2 * {pad}) / {stride} + 1 = {size:.10g} "
                "is not an integer; "
                f"the output has {int(size)}, and no window reads the last {unread} of {width + 2 * pad} positions"
                + (" (padding)" if unread <= pad else f" ({unread - pad} of them input)" if pad else "")
            )


def _per_axis(value: int | tuple[int, ...], num_axes: int) -> tuple[int, ...]:
    sizes = (value,) if isinstance(value, int) else value
    return sizes * num_axes if len(sizes) == 1 else sizes


def _prefixes(name: str) -> Iterator[str]:
    """Yields `a`, `a.b` and `a.b.weight` for `a.b.weight`."""
    path = name.split(".")
    return (".".join(path[:depth]) for depth in range(1, len(path) + 1))


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_MAX_NAMES])
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more"
