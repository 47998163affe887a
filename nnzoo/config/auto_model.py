"""Chooses the network that `model: auto` stands for."""

from __future__ import annotations

from typing import Any

from nnzoo.config import data
from nnzoo.config.data import toy
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts
from nnzoo.config.model import Auto

_TOY = (toy.Gate, toy.Moons, toy.Circles, toy.Spirals, toy.Blobs, toy.Sine)
_SMALL_IMAGE, _LARGE_IMAGE = 16, 64
"""Images whose shorter side is at least this long are halved three times, or four times."""


def auto_model(source: data.Source, facts: Facts) -> dict[str, Any] | None:
    """Returns the model section that `model: auto` stands for, as plain values; None if the layout is not known yet.

    Args:
        source: The data section.
        facts: The facts about the data, as far as they are known.
    """
    if isinstance(source, data.Language):
        return {"name": "lstm", "hidden_size": 128}
    match facts.layout:
        case "features":
            return {"name": "mlp"} if isinstance(source, _TOY) else {"name": "tabular"}
        case "sequence":
            return {"name": "gru", "hidden_size": 64}
        case "tokens" if facts.per is not None:
            pooling = {} if facts.per == "step" else {"pooling": "mean"}
            return {"name": "gru", "hidden_size": 64, "bidirectional": True, **pooling}
        case "tree":
            return {"name": "recursive"}
        case "image" if facts.input_shape is not None:
            return _cnn(facts.input_shape)
    return None


def _cnn(shape: tuple[int, ...]) -> dict[str, Any]:
    """Returns a CNN for images (C, H, W): blocks of convolution and pooling, then a global average."""
    side = min(shape[1:])
    num_blocks = 2 if side < _SMALL_IMAGE else 3 if side < _LARGE_IMAGE else 4
    blocks: list[dict[str, Any]] = []
    for index in range(num_blocks):
        channels = min(32 * 2**index, 128)
        blocks.append({"conv": {"out_channels": channels, "kernel_size": 3, "padding": "same", "batch_norm": True}})
        if side >= 2 ** (index + 1):
            blocks.append({"pool": {"kernel_size": 2}})
    return {"name": "cnn", "blocks": [*blocks, {"global_pool": "avg"}], "dropout": 0.2, "head": [64]}


def with_auto_model(config: Config, facts: Facts) -> Config:
    """Returns a config in which the network that fits the data, with its defaults, replaces `model: auto`.

    Other configs are unchanged, and so is a config whose layout is not known yet.
    """
    if not isinstance(config.model, Auto):
        return config
    chosen = auto_model(config.data, facts)
    if chosen is None:
        return config
    given = config.model_dump(exclude_unset=True)
    found = Config.model_validate({**given, "model": {**given["model"], **chosen}})
    found._origin = config._origin
    return found


def chose_model(config: Config) -> bool:
    """Whether the model of a config was chosen by `model: auto`."""
    written = config._origin.child("model") if config._origin is not None else None
    name = written.plain() if written is not None else None
    return not isinstance(config.model, Auto) and (name.get("name") if isinstance(name, dict) else name) == "auto"
