"""The trained networks that are part of nnzoo: `zoo:NAME`. Each has a file with its weights and a card."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from nnzoo.errors import CheckpointError, UsageError

PREFIX = "zoo:"


class Card(BaseModel):
    """What is known about the weights of a shipped network.

    Attributes:
        name: The name after `zoo:`.
        recipe: The shipped config that the network was trained with.
        task: What the network does.
        data: The data, with its source.
        licence: The licence of the data.
        limits: What the network should not be used for.
        example: A command that uses the network.
        seed: The seed: the one with the best monitored metric on the val split.
        metric: The metric of `value`, such as "test/accuracy".
        value: The metric of these weights.
        baseline: The same metric of a predictor that ignores the inputs.
        num_parameters: The number of parameters.
        num_bytes: The size of the file.
        sha256: The checksum of the file.
        data_digests: The checksum of each split of the data.
        versions: The versions that the network was trained with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    recipe: str
    task: str
    data: str
    licence: str
    limits: str
    example: str
    seed: int
    metric: str
    value: float
    baseline: float | None
    num_parameters: int
    num_bytes: int
    sha256: str
    data_digests: dict[str, str]
    versions: dict[str, str]


def zoo_folder() -> Path:
    """Returns the folder of the weights and cards, which is part of the package."""
    return Path(__file__).parents[1] / "zoo"


def weights_file(name: str) -> Path:
    """Returns the file of the weights of a shipped network, which may not exist."""
    return zoo_folder() / f"{name}.safetensors"


def zoo_names() -> list[str]:
    """Returns the names of the shipped networks."""
    return sorted(path.stem for path in zoo_folder().glob("*.json"))


def read_card(name: str) -> Card:
    """Returns the card of a shipped network.

    Raises:
        UsageError: There is no such network.
        CheckpointError: The card is damaged.
    """
    if name not in zoo_names():
        near = difflib.get_close_matches(name, zoo_names(), n=1)
        hint = f" Did you mean '{PREFIX}{near[0]}'?" if near else ""
        raise UsageError(
            f"there are no shipped weights of this name.{hint} (`nnzoo list zoo` shows them)", where=f"{PREFIX}{name}"
        )
    file = zoo_folder() / f"{name}.json"
    try:
        return Card.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        raise CheckpointError("damaged. Install nnzoo again.", where=str(file)) from None


def find_weights(text: str) -> Path:
    """Returns the weights that `zoo:NAME` refers to.

    Raises:
        UsageError: There are no such weights.
    """
    return weights_file(read_card(text.removeprefix(PREFIX)).name)


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
