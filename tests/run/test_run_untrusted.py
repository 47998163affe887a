from __future__ import annotations

import json
import os
import pickle
import random
import struct
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from nnzoo.errors import CheckpointError
from nnzoo.run.artifact import Artifact, load_artifact, save_artifact
from nnzoo.run.checkpoint import load_checkpoint, save_checkpoint

OTHERS = [torch.zeros(0, 3), torch.ones(3, dtype=torch.uint16), torch.ones(2, dtype=torch.complex64)]
STATE: dict[str, Any] = {
    "numbers": [0, -1, 2**40, 1.5, float("inf"), True, None],
    "texts": {"ä": "b"},
    "pair": (0.9, 0.999),
    "many": list(range(1500)),
    "milestones": Counter([3, 5]),
    "tensors": [torch.arange(6).reshape(2, 3).T, torch.tensor(True), torch.ones(2, dtype=torch.bfloat16), *OTHERS],
}


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def repack(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """Writes an archive anew, with right checksums."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))


def with_pickle(path: Path, pickled: bytes) -> None:
    repack(path, lambda name, content: pickled if name.endswith("data.pkl") else content)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "last.pt"
    save_checkpoint(path, STATE)
    return path


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "best.safetensors"
    save_artifact(path, Artifact({"w": torch.arange(600.0).reshape(20, 30)}, {"s": torch.ones(3)}, {"classes": ["ä"]}))
    return path


def test_a_checkpoint_comes_back_as_it_was(checkpoint: Path) -> None:
    loaded = load_checkpoint(checkpoint)
    for key in ("numbers", "texts", "pair", "many", "milestones"):
        assert loaded[key] == STATE[key]
    for loaded_tensor, tensor in zip(loaded["tensors"], STATE["tensors"], strict=True):
        assert loaded_tensor.dtype == tensor.dtype
        assert torch.equal(loaded_tensor, tensor)


def test_nothing_planted_is_run(checkpoint: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    with_pickle(checkpoint, pickle.dumps(Planted(planted), protocol=2))
    with pytest.raises(CheckpointError, match="holds more than tensors and plain values"):
        load_checkpoint(checkpoint)
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(Planted(planted)))
    with pytest.raises(CheckpointError, match="cut short, or no checkpoint at all"):
        load_checkpoint(bare)
    # An old-style pickle with an archive behind it: what it is depends on which end is looked at.
    behind = tmp_path / "behind.pt"
    save_checkpoint(checkpoint, STATE)
    behind.write_bytes(pickle.dumps(Planted(planted)) + checkpoint.read_bytes())
    with pytest.raises(CheckpointError):
        load_checkpoint(behind)
    assert not planted.exists()


def test_a_small_file_cannot_ask_for_gigabytes(checkpoint: Path) -> None:
    # bytearray(2_000_000_000), which torch's own reader allows, and an opcode that reserves as much.
    call = b"\x80\x02c__builtin__\nbytearray\nJ\x00\x94\x35\x77\x85R."
    reserve = b"\x80\x05\x96" + struct.pack("<Q", 2_000_000_000) + b"."
    for pickled in (call, reserve):
        with_pickle(checkpoint, pickled)
        with pytest.raises(CheckpointError, match="more than tensors and plain values"):
            load_checkpoint(checkpoint)


def rewritten(path: Path, old: bytes, new: bytes) -> None:
    """Changes a pickle, which stays one, with right checksums."""

    def change(name: str, content: bytes) -> bytes:
        assert not name.endswith("data.pkl") or content.count(old) == 1
        return content.replace(old, new) if name.endswith("data.pkl") else content

    repack(path, change)


def test_a_tensor_can_claim_no_more_than_is_there(tmp_path: Path) -> None:
    """Torch's own reader would read what lies behind the file's numbers, and repeat one as often as it is told."""
    path = tmp_path / "last.pt"
    size, stride = b"K\x4d\x85", b"K\x01\x85"
    claims = [
        (b"q\x09K\x4d", b"q\x09M\xff\xff"),  # numbers of the storage
        (size + b"q", b"\x8a\x05\x00\x00\x00\x00\x01\x85q"),  # of the tensor
        (size + b"q\x0b" + stride, b"\x8a\x05\x00\x00\x00\x00\x01\x85q\x0bK\x00\x85"),  # again and again the same
        (b"FloatStorage", b"DoubleStorage"),
        (b"FloatStorage", b"NoStorage"),
    ]
    for old, new in claims:
        save_checkpoint(path, {"w": torch.ones(77)})
        rewritten(path, old, new)
        with pytest.raises(CheckpointError, match="more than tensors and plain values"):
            load_checkpoint(path)


def test_a_zip_bomb_is_not_unpacked(checkpoint: Path) -> None:
    repack(checkpoint, lambda name, content: bytes(10_000_000) if "/data/" in name else content, zipfile.ZIP_DEFLATED)
    assert checkpoint.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="compressed"):
        load_checkpoint(checkpoint)


def test_an_entry_that_is_there_twice_is_refused(checkpoint: Path) -> None:
    with zipfile.ZipFile(checkpoint, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(archive.namelist()[0], b"")
    with pytest.raises(CheckpointError, match="twice there"):
        load_checkpoint(checkpoint)


def test_checkpoints_of_others_and_of_the_future(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"weights": torch.ones(3)}, path)
    with pytest.raises(CheckpointError, match="no nnzoo checkpoint"):
        load_checkpoint(path)
    torch.save({"format": "nnzoo checkpoint", "version": 99}, path)
    with pytest.raises(CheckpointError, match=r"of format version 99; this nnzoo reads version 2\. Update"):
        load_checkpoint(path)
    torch.save([torch.ones(3)], path)
    with pytest.raises(CheckpointError, match="no nnzoo checkpoint"):
        load_checkpoint(path)


def flipped(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def test_no_flipped_bit_changes_a_checkpoint_in_silence(checkpoint: Path, tmp_path: Path) -> None:
    whole, rng, path, refused = checkpoint.read_bytes(), random.Random(0), tmp_path / "damaged.pt", 0
    for _ in range(150):
        path.write_bytes(flipped(whole, rng))
        try:
            loaded = load_checkpoint(path)
        except CheckpointError:
            refused += 1
        else:  # the bit was padding between entries
            assert loaded["numbers"] == STATE["numbers"]
            assert all(map(torch.equal, loaded["tensors"], STATE["tensors"]))
    assert refused > 50


def test_no_flipped_bit_loads_as_an_artifact(artifact: Path, tmp_path: Path) -> None:
    whole, rng, path = artifact.read_bytes(), random.Random(0), tmp_path / "damaged.safetensors"
    for _ in range(300):
        path.write_bytes(flipped(whole, rng))
        with pytest.raises(CheckpointError):
            load_artifact(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_truncated_file_is_damaged(share: float, checkpoint: Path, artifact: Path) -> None:
    for path, load in ((checkpoint, load_checkpoint), (artifact, load_artifact)):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(CheckpointError, match="damaged"):
            load(path)


def test_an_artifact_comes_back_as_it_was(artifact: Path) -> None:
    loaded = load_artifact(artifact)
    assert torch.equal(loaded.weights["w"], torch.arange(600.0).reshape(20, 30))
    assert torch.equal(loaded.preprocess["s"], torch.ones(3))
    assert loaded.metadata == {"classes": ["ä"]}


def test_tied_transposed_and_odd_tensors_come_back(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    weights = {
        "a": shared,
        "b": shared,
        "transposed": shared.T,
        "part": shared[0],
        "scalar": torch.tensor(7, dtype=torch.int64),
        "flags": torch.tensor([True, False]),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "empty": torch.empty(0, 4),
    }
    save_artifact(tmp_path / "x", Artifact(weights, {}, {}))
    loaded = load_artifact(tmp_path / "x").weights
    assert loaded.keys() == weights.keys()
    for name, tensor in weights.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert loaded["a"].data_ptr() == loaded["b"].data_ptr()


def metadata_file(path: Path, metadata: Any) -> None:
    path.write_bytes(save({"model.w": torch.ones(2)}, {"nnzoo": json.dumps(metadata)}))


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        [],
        "text",
        None,
        {"version": 1, "aliases": {}, "sha256": "0"},
        {"version": 1, "aliases": [], "sha256": 1},
        {"version": 1, "sha256": None, "x": float("nan")},
        {"version": [1], "aliases": {}, "sha256": "0"},
    ],
)
def test_metadata_of_the_wrong_kind_is_damage(metadata: Any, tmp_path: Path) -> None:
    metadata_file(tmp_path / "x", metadata)
    with pytest.raises(CheckpointError):
        load_artifact(tmp_path / "x")


def test_deep_metadata_is_damage(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(save({"model.w": torch.ones(2)}, {"nnzoo": "[" * 200_000}))
    with pytest.raises(CheckpointError, match="its metadata can't be read"):
        load_artifact(tmp_path / "x")


def test_artifacts_of_others_and_of_the_future(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(save({"w": torch.ones(2)}))
    with pytest.raises(CheckpointError, match="no nnzoo artifact"):
        load_artifact(path)
    metadata_file(path, {"version": 2, "sha256": "of another kind"})
    with pytest.raises(CheckpointError, match=r"format version 2; this nnzoo reads version 1\. Update"):
        load_artifact(path)


def test_a_huge_header_is_not_parsed(tmp_path: Path) -> None:
    for length in (33_000_000, 2**63, 2**64 - 1, 1):
        with (tmp_path / "x").open("wb") as file:
            file.write(struct.pack("<Q", length))
            file.truncate(40_000_000)
        with pytest.raises(CheckpointError, match="damaged"):
            load_artifact(tmp_path / "x")


def test_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    tensors = {f"layer.{index}": torch.full((3,), float(index)) for index in range(20)}
    metadata = {f"key {index}": index for index in range(20)}
    save_artifact(tmp_path / "a", Artifact(tensors, {}, metadata))
    again = Artifact(dict(reversed(tensors.items())), {}, dict(reversed(metadata.items())))
    save_artifact(tmp_path / "b", again)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    for load in (load_checkpoint, load_artifact):
        with pytest.raises(CheckpointError, match="can't be read: Is a directory"):
            load(tmp_path)
