"""Reads and writes safetensors files whose metadata is one JSON text that contains a SHA-256 of all content.

Any program that reads safetensors can read such a file: 8 bytes with the length of a JSON header, the header, then the
bytes of all tensors. The safetensors library rejects overlaps, gaps and shapes that do not fit, but has no checksum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from nnzoo.errors import CheckpointError, RunError
from nnzoo.run.encoding import decode, encode
from nnzoo.run.files import atomic_file

MAX_HEADER_BYTES = 32_000_000
"""A larger header takes seconds and gigabytes to parse. A vocabulary of 100,000 words needs 1.5 MB."""
ARTIFACT, CHECKPOINT = "nnzoo artifact", "nnzoo checkpoint"
VERSIONS = {ARTIFACT: 2, CHECKPOINT: 3}
"""The supported version of each format. A file without a format is an artifact."""
_KEY = "nnzoo"
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


class OtherVersionError(CheckpointError):
    """The file is intact, but has the format of a different version of nnzoo."""


def write_tensor_file(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], *, keep: Path | None = None
) -> None:
    """Writes a file atomically. The same content always gives the same bytes. Tensors on the CPU are not copied.

    Args:
        path: The file.
        tensors: The tensors by name. A tensor that has several names (tied weights) is stored once.
        metadata: Format, version and other JSON values, without NaN and infinity.
        keep: The name, in the same directory, to which an existing file is renamed.

    Raises:
        RunError: The file can't be written, or its header would be too large to read.
    """
    parts = _parts(tensors, metadata, str(path))
    with atomic_file(path, keep=keep) as file:
        for part in parts:
            file.write(part)


def to_bytes(value: Any) -> bytes:
    """Returns the bytes of a file with a value that `encode` supports. `from_bytes` decodes them."""
    encoded, tensors = encode(value)
    return b"".join(_parts(tensors, {"value": encoded}, "message"))


def from_bytes(data: bytes) -> Any:
    """Returns the value that `to_bytes` encoded, with tensors on the CPU."""
    from safetensors.torch import load

    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
    # Copied, since the alignment may affect the last bits of results.
    tensors = {name: tensor.clone() for name, tensor in load(data).items()}
    tensors |= {alias: tensors[name] for alias, name in metadata["aliases"].items()}
    return decode(metadata["value"], tensors)


def _parts(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], where: str) -> list[bytes | memoryview]:
    """Returns the contents of a file in order: the header, then the bytes of each tensor."""
    stored, aliases = _without_aliases(tensors)
    metadata = {**metadata, "aliases": aliases}
    # One key with sorted JSON, since the writer of safetensors has a random order of keys.
    header: dict[str, Any] = {"__metadata__": {_KEY: _to_json({**metadata, "sha256": _digest(stored, metadata)})}}
    end = 0
    # Sorted by item size, the largest first, so that every tensor is aligned to its item size.
    ordered = sorted(stored.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    for name, tensor in ordered:
        start, end = end, end + tensor.nbytes
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise RunError(
            f"can't be written: its names and metadata take {len(text):,} bytes (at most {MAX_HEADER_BYTES:,}). "
            "Use fewer categories or a smaller vocabulary.",
            where=where,
        )
    return [len(text).to_bytes(8, "little") + text, *(_bytes_of(tensor) for _, tensor in ordered)]


def read_tensor_file(path: Path, *, remedy: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads tensors and metadata onto the CPU, in memory proportional to the size of the file.

    Args:
        path: The file.
        remedy: What to do if it is damaged, for the error message.

    Raises:
        CheckpointError: The file can't be read, is damaged, or was not written by nnzoo.
    """
    from safetensors import SafetensorError, safe_open

    where = str(path)

    def fail(problem: str) -> NoReturn:
        raise CheckpointError(f"{problem}{remedy and f' {remedy}'}", where=where) from None

    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
        is_sound = 2 <= length <= min(MAX_HEADER_BYTES, path.stat().st_size)
    except OSError as error:
        raise CheckpointError(f"can't be read: {error.strerror}.", where=where) from None
    if not is_sound:
        fail("damaged, or not a safetensors file.")
    try:
        with safe_open(path, framework="pt") as opened:
            text = (opened.metadata() or {}).get(_KEY)
            # Copied: the file is memory-mapped, and the alignment may affect the last bits of results.
            tensors = {key: opened.get_tensor(key).clone() for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError):
        fail("damaged, or not a safetensors file.")
    if text is None:
        raise CheckpointError("has no nnzoo metadata: it is neither an artifact nor a checkpoint.", where=where)
    try:
        metadata = json.loads(text)
        _check_version(metadata, where)
        digest, aliases = metadata.pop("sha256"), metadata["aliases"]
        is_intact = digest == _digest(tensors, metadata)
        tensors |= {alias: tensors[name] for alias, name in aliases.items()}
        del metadata["aliases"]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        fail("damaged: its metadata can't be read.")
    if not is_intact:
        fail("damaged: its checksum is wrong.")
    return tensors, metadata


def _check_version(metadata: Mapping[str, Any], where: str) -> None:
    """Raises OtherVersionError unless this nnzoo supports the format version of a file."""
    version, known = metadata["version"], VERSIONS.get(metadata.get("format", ARTIFACT))
    if version == known:
        return
    is_older = known is not None and isinstance(version, int) and version < known
    todo = "Use the nnzoo that wrote it, or train again." if is_older else "Update nnzoo."
    raise OtherVersionError(
        f"has format version {str(version)[:20]}; this nnzoo reads version {known}. {todo}", where=where
    )


def _without_aliases(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Returns contiguous CPU tensors by their first name, and the first name of each alias."""
    first: dict[tuple[object, ...], str] = {}
    kept, aliases = {}, {}
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and key in first:
            aliases[name] = first[key]
        else:
            first[key] = name
            kept[name] = tensor.detach().cpu().contiguous()
    return kept, aliases


def _to_json(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """Returns the SHA-256 over the metadata, and the names, shapes, types and bytes of all tensors."""
    digest = hashlib.sha256(_to_json(metadata).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(_bytes_of(tensor))
    return digest.hexdigest()


def _bytes_of(tensor: Tensor) -> memoryview:
    """Returns the raw bytes of a contiguous CPU tensor."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data
