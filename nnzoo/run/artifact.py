"""best.safetensors, the file to share: weights and fitted preprocessing as tensors, metadata as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nnzoo.errors import CheckpointError
from nnzoo.run import tensor_file
from nnzoo.run.checkpoint import state_of
from nnzoo.run.directory import CHECKPOINT
from nnzoo.run.tensor_file import read_tensor_file, write_tensor_file

_PARTS = ("model", "preprocess", "metadata")
"""The parts of a checkpoint that an artifact has too."""


@dataclass(frozen=True)
class Artifact:
    """A trained network and everything that is needed to use it.

    Attributes:
        weights: The module's state dict.
        preprocess: The state dict of the fitted transforms.
        metadata: Config, classes, feature and target names, shapes, metrics and versions. It contains no times or
            absolute paths, so the same training always gives the same bytes.
    """

    weights: dict[str, Tensor]
    preprocess: dict[str, Tensor]
    metadata: dict[str, Any]


def save_artifact(path: Path, artifact: Artifact) -> None:
    """Writes an artifact atomically. The same content gives the same bytes.

    Raises:
        RunError: The file can't be written.
    """
    tensors = {f"model.{name}": tensor for name, tensor in artifact.weights.items()}
    tensors |= {f"preprocess.{name}": tensor for name, tensor in artifact.preprocess.items()}
    write_tensor_file(path, tensors, {"version": tensor_file.VERSIONS[tensor_file.ARTIFACT], **artifact.metadata})


def load_artifact(path: Path) -> Artifact:
    """Reads an artifact onto the CPU, or the same parts of a checkpoint.

    Raises:
        CheckpointError: The file is damaged, was not written by nnzoo, or is of a different version.
    """
    beside = path.name != CHECKPOINT and path.with_name(CHECKPOINT).is_file()
    remedy = f"`nnzoo train {path.parent} --resume` writes it again from {CHECKPOINT}." if beside else ""
    tensors, metadata = read_tensor_file(path, remedy=remedy)
    state = state_of(path, tensors, metadata)
    if state is not None:
        parts = {name: state[name] for name in _PARTS if isinstance(state.get(name), dict)}
        if len(parts) < len(_PARTS):
            raise CheckpointError("damaged: parts are missing.", where=str(path))
        # With `train.ema`, the averaged weights are the result of the training.
        average = state.get("average")
        weights = {**parts["model"], **(average if isinstance(average, dict) else {})}
        return Artifact(weights, parts["preprocess"], parts["metadata"])
    del metadata["version"]
    weights, preprocess = (
        {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        for prefix in ("model.", "preprocess.")
    )
    return Artifact(weights, preprocess, metadata)
