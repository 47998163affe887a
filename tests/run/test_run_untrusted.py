from __future__ import annotations

import ast
import json
import os
import pickle
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from nnzoo.errors import CheckpointError, RunError
from nnzoo.run import tensor_file
from nnzoo.run.artifact import Artifact, load_artifact, save_artifact
from nnzoo.run.checkpoint import load_checkpoint, save_checkpoint

OTHERS = [torch.zeros(0, 3), torch.ones(3, dtype=torch.uint16), torch.ones(2, dtype=torch.complex64)]
STATE: dict[str, Any] = {
    "numbers": [0, -1, 2**40, 1.5, float("inf"), True, None],
    "texts": {"ä": "b"},
    "pair": (0.9, 0.999),
    "many": list(range(1500)),
    "tensors": [torch.arange(6).reshape(2, 3).T, torch.tensor(True), torch.ones(2, dtype=torch.bfloat16), *OTHERS],
}


class Planted:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, STATE)
    return path


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "best.safetensors"
    save_artifact(path, Artifact({"w": torch.arange(600.0).reshape(20, 30)}, {"s": torch.ones(3)}, {"classes": ["ä"]}))
    return path


def test_a_checkpoint_is_restored_exactly(checkpoint: Path) -> None:
    loaded = load_checkpoint(checkpoint)
    for key in ("numbers", "texts", "pair", "many"):
        assert loaded[key] == STATE[key]
    for loaded_tensor, tensor in zip(loaded["tensors"], STATE["tensors"], strict=True):
        assert loaded_tensor.dtype == tensor.dtype
        assert torch.equal(loaded_tensor, tensor)


def test_a_checkpoint_is_a_standard_safetensors_file(checkpoint: Path) -> None:
    with safe_open(checkpoint, framework="np") as file:
        assert file.get_tensor("tensors.0").tolist() == [[0, 3], [1, 4], [2, 5]]
        [(key, text)] = file.metadata().items()
    assert key == "nnzoo"
    assert text == json.dumps(json.loads(text), sort_keys=True, ensure_ascii=False)


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    for content in (pickle.dumps(Planted(planted)), pickle.dumps(Planted(planted), protocol=2)):
        (tmp_path / "x.safetensors").write_bytes(content)
        for load in (load_checkpoint, load_artifact):
            with pytest.raises(CheckpointError, match="damaged, or not a safetensors file"):
                load(tmp_path / "x.safetensors")
    torch.save(Planted(planted), tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="damaged, or not a safetensors file"):
        load_checkpoint(tmp_path / "x.safetensors")
    assert not planted.exists()


PACKAGE = Path(tensor_file.__file__).parents[1]
READS_PICKLES = {"cifar_pickle.py": "pickle", "torch_file.py": "torch.load", "torchvision_weights.py": "torch.load"}
"""The modules that read pickles of other programs: CIFAR with a restricted unpickler, and state dicts weights-only."""


def test_no_other_module_reads_or_writes_a_pickle() -> None:
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=[ast.alias(name="pickle" | "marshal" | "shelve" | "joblib" | "dill" as name)]):
                    found.setdefault(path.name, set()).add(name)
                case ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save" as name):
                    found.setdefault(path.name, set()).add(f"torch.{name}")
                case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                    found.setdefault(path.name, set()).add("allow_pickle")
    assert found == {name: {how} for name, how in READS_PICKLES.items()}


def test_files_of_other_programs_and_newer_checkpoints_are_errors(tmp_path: Path, artifact: Path) -> None:
    path = tmp_path / "last.safetensors"
    path.write_bytes(save({"weights": torch.ones(3)}))
    with pytest.raises(CheckpointError, match="no nnzoo metadata"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match="not a checkpoint of nnzoo, but an artifact"):
        load_checkpoint(artifact)
    for version, todo in ((99, "Update"), (2, "Use the nnzoo that wrote it, or train again"), ("x", "Update")):
        metadata_file(path, {"format": "nnzoo checkpoint", "version": version, "sha256": "of another kind"})
        with pytest.raises(CheckpointError, match=rf"format version {version}; this nnzoo reads version 3\. {todo}"):
            load_checkpoint(path)
    metadata_file(path, {"format": "nnzoo something", "version": 1})
    with pytest.raises(CheckpointError, match="Update nnzoo"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "state",
    [
        *({"$tensor": "missing"}, {"a": {"$tuple": 7}}, [], None, 5, {"$list": [1]}, {"$dict": [["a", 1], ["a", 1]]}),
        {"a": json.loads("[" * 900 + "]" * 900)},
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_intact_file_without_a_state_is_an_error(state: Any, tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    tensor_file.write_tensor_file(path, {}, {"format": "nnzoo checkpoint", "version": 3, "state": state})
    with pytest.raises(
        CheckpointError, match=r"damaged: it does not (have the structure of a checkpoint|contain a training state)"
    ):
        load_checkpoint(path)


def test_an_unused_tensor_is_an_error(tmp_path: Path) -> None:
    path, metadata = tmp_path / "last.safetensors", {"format": "nnzoo checkpoint", "version": 3, "state": {}}
    tensor_file.write_tensor_file(path, {"w": torch.ones(3)}, metadata)
    with pytest.raises(CheckpointError, match="nothing refers to the tensor 'w'"):
        load_checkpoint(path)


def flipped(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def test_files_with_a_flipped_bit_are_errors(checkpoint: Path, artifact: Path, tmp_path: Path) -> None:
    rng, path = random.Random(0), tmp_path / "damaged.safetensors"
    for whole, load in ((checkpoint.read_bytes(), load_checkpoint), (artifact.read_bytes(), load_artifact)):
        for _ in range(300):
            path.write_bytes(flipped(whole, rng))
            with pytest.raises(CheckpointError):
                load(path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_truncated_file_is_damaged(share: float, checkpoint: Path, artifact: Path) -> None:
    for path, load in ((checkpoint, load_checkpoint), (artifact, load_artifact)):
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(CheckpointError, match="damaged"):
            load(path)


def test_an_artifact_is_restored_exactly(artifact: Path) -> None:
    loaded = load_artifact(artifact)
    assert torch.equal(loaded.weights["w"], torch.arange(600.0).reshape(20, 30))
    assert torch.equal(loaded.preprocess["s"], torch.ones(3))
    assert loaded.metadata == {"classes": ["ä"]}


def test_tied_transposed_and_unusual_tensors_are_restored(tmp_path: Path) -> None:
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
        {"version": 2, "aliases": {}, "sha256": "0"},
        {"version": 2, "aliases": [], "sha256": 1},
        {"version": 2, "sha256": None, "x": float("nan")},
        {"version": [1], "aliases": {}, "sha256": "0"},
    ],
)
def test_metadata_of_the_wrong_type_is_an_error(metadata: Any, tmp_path: Path) -> None:
    metadata_file(tmp_path / "x", metadata)
    with pytest.raises(CheckpointError):
        load_artifact(tmp_path / "x")


def test_deeply_nested_metadata_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(save({"model.w": torch.ones(2)}, {"nnzoo": "[" * 200_000}))
    with pytest.raises(CheckpointError, match="its metadata can't be read"):
        load_artifact(tmp_path / "x")


def test_files_of_other_programs_and_newer_artifacts_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(save({"w": torch.ones(2)}))
    with pytest.raises(CheckpointError, match="no nnzoo metadata"):
        load_artifact(path)
    for version, todo in ((3, "Update"), (1, "Use the nnzoo that wrote it, or train again")):
        metadata_file(path, {"version": version, "sha256": "of another kind"})
        with pytest.raises(CheckpointError, match=rf"format version {version}; this nnzoo reads version 2\. {todo}"):
            load_artifact(path)


def test_a_huge_header_is_neither_parsed_nor_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for length in (33_000_000, 2**63, 2**64 - 1, 1):
        with (tmp_path / "x").open("wb") as file:
            file.write(struct.pack("<Q", length))
            file.truncate(40_000_000)
        for load in (load_artifact, load_checkpoint):
            with pytest.raises(CheckpointError, match="damaged"):
                load(tmp_path / "x")
    monkeypatch.setattr(tensor_file, "MAX_HEADER_BYTES", 1000)
    with pytest.raises(RunError, match=r"take 1,\d+ bytes \(at most 1,000\)"):
        save_checkpoint(tmp_path / "y", {"words": "w" * 1000})
    assert not (tmp_path / "y").exists()


LIMITED = """
import resource, sys
from pathlib import Path
from nnzoo.errors import CheckpointError
from nnzoo.run.checkpoint import load_checkpoint
import safetensors.torch
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 400_000_000
resource.setrlimit(resource.RLIMIT_AS, (size, size))
for path in sys.argv[1:]:
    try:
        load_checkpoint(Path(path))
    except CheckpointError:
        pass
    else:
        raise SystemExit(f"{path} was read")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_small_file_takes_little_memory(tmp_path: Path, checkpoint: Path) -> None:
    """Reads files of at most a few MB with 400 MB of additional address space."""
    whole = checkpoint.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    contents = []
    for shape in ([2**40], [2**62, 4], [2**63], [10**30]):
        header["tensors.0"]["shape"] = shape
        contents.append((json.dumps(header), whole[8 + length :]))
    contents.append((json.dumps({f"{index}": EMPTY for index in range(40_000)}), b""))
    contents.append((json.dumps({"__metadata__": {"nnzoo": "[" + "[]," * 2_000_000 + "[]]"}}), b""))
    contents.append((json.dumps({"__metadata__": {"nnzoo": "[" * 5_000_000}}), b""))
    for index, (text, data) in enumerate(contents):
        encoded = text.encode()
        (tmp_path / f"{index}.safetensors").write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
    paths = [str(tmp_path / f"{index}.safetensors") for index in range(len(contents))]
    subprocess.run([sys.executable, "-c", LIMITED, *paths], check=True)


EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def test_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    tensors = {f"layer.{index}": torch.full((3,), float(index)) for index in range(20)}
    metadata = {f"key {index}": index for index in range(20)}
    save_artifact(tmp_path / "a", Artifact(tensors, {}, metadata))
    again = Artifact(dict(reversed(tensors.items())), {}, dict(reversed(metadata.items())))
    save_artifact(tmp_path / "b", again)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_that_can_not_be_opened_is_an_error(tmp_path: Path) -> None:
    for load in (load_checkpoint, load_artifact):
        with pytest.raises(CheckpointError, match="can't be read: Is a directory"):
            load(tmp_path)
