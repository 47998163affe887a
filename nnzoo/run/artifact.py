"""best.safetensors, the file to share: weights and fitted preprocessing as tensors, the rest as one JSON text."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnzoo.errors import CheckpointError
from nnzoo.run.checkpoint import OtherVersionError, other_version
from nnzoo.run.directory import CHECKPOINT
from nnzoo.run.files import atomic_file

VERSION = 2
MAX_HEADER_BYTES = 32_000_000
_KEY = "nnzoo"


@dataclass(frozen=True)
class Artifact:
    """A trained network with all that is needed to use it.

    Attributes:
        weights: The module's state dict.
        preprocess: The fitted transforms' state dict.
        metadata: config, classes, feature and target names, shapes, metrics and versions. No times and no absolute
            paths, so that the same training gives the same bytes.
    """

    weights: dict[str, Tensor]
    preprocess: dict[str, Tensor]
    metadata: dict[str, Any]


def save_artifact(path: Path, artifact: Artifact) -> None:
    """Writes an artifact, whole or not at all; the same content gives the same bytes.

    Raises:
        RunError: It can't be written.
    """
    from safetensors.torch import save

    tensors, aliases = _without_aliases(
        {f"model.{name}": tensor for name, tensor in artifact.weights.items()}
        | {f"preprocess.{name}": tensor for name, tensor in artifact.preprocess.items()}
    )
    metadata = {"version": VERSION, "aliases": aliases, **artifact.metadata}
    # One key with one sorted text: several keys are written in random order.
    text = _to_text({**metadata, "sha256": _digest(tensors, metadata)})
    with atomic_file(path) as file:
        file.write(save(tensors, {_KEY: text}))


def load_artifact(path: Path) -> Artifact:
    """Reads an artifact onto the CPU.

    Raises:
        CheckpointError: It is damaged, is no nnzoo artifact, or is of a newer version.
    """
    from safetensors import SafetensorError, safe_open

    where = str(path)
    beside = path.with_name(CHECKPOINT).is_file()
    remedy = f" `nnzoo train {path.parent} --resume` makes it anew from {CHECKPOINT}." if beside else ""
    _check_header(path, remedy)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            # Copied: the file's own memory is mapped, and alignment decides the last bits of what is computed with it.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        raise CheckpointError(f"damaged, or no safetensors file.{remedy}", where=where) from None
    if text is None:
        raise CheckpointError("weights without nnzoo's metadata; it is no nnzoo artifact.", where=where)
    try:
        metadata = json.loads(text)
        digest, version = metadata.pop("sha256"), metadata["version"]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise CheckpointError(f"damaged: its metadata can't be read.{remedy}", where=where) from None
    if version != VERSION:
        raise OtherVersionError(other_version(version, VERSION), where=where)
    try:
        intact = digest == _digest(tensors, metadata)
        aliases = metadata.pop("aliases")
        tensors |= {alias: tensors[name] for alias, name in aliases.items()}
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise CheckpointError(f"damaged: its checksum is wrong.{remedy}", where=where)
    del metadata["version"]
    parts = {
        prefix: {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        for prefix in ("model.", "preprocess.")
    }
    return Artifact(parts["model."], parts["preprocess."], metadata)


def _check_header(path: Path, remedy: str) -> None:
    """A header of many empty tensors takes seconds and gigabytes to parse, before anything else is known."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError as error:
        raise CheckpointError(f"can't be read: {error.strerror}.", where=str(path)) from None
    if not 2 <= length <= min(MAX_HEADER_BYTES, path.stat().st_size):
        raise CheckpointError(f"damaged, or no safetensors file.{remedy}", where=str(path))


def _without_aliases(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tied weights are stored once: contiguous CPU tensors by name, and the other names of each."""
    first: dict[tuple[object, ...], str] = {}
    kept, aliases = {}, {}
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and key in first:
            aliases[name] = first[key]
        else:
            first[key] = name
            # A clone, since views of one storage are refused.
            kept[name] = tensor.detach().cpu().contiguous().clone()
    return kept, aliases


def _to_text(metadata: dict[str, Any]) -> str:
    return json.dumps(metadata, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _digest(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> str:
    """SHA-256 over the metadata, and names, shapes, types and bytes of all tensors."""
    digest = hashlib.sha256(_to_text(metadata).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
