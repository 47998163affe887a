"""Feeds damaged and malicious files to nnzoo: each must be used or refused in one line, in little memory.

.venv/bin/python scripts/fuzz.py [--mutations 2000] [--seed 0] [--first 0]

A run is trained once. Then its last.safetensors and best.safetensors, and a state dict written by torch.save, are
mutated: truncated files, flipped bits, values of other types and sizes, tensors that claim any shape, archives that
unpack to any size, pickles that call functions. `eval` and `train --resume` read the first two, `train` with
`model.pretrained` reads the third, in an address space with little more memory than the program needs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import pickle
import random
import resource
import shutil
import struct
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.run.artifact import Artifact, load_artifact, save_artifact
from nnzoo.run.checkpoint import load_checkpoint, save_checkpoint
from nnzoo.run.tensor_file import read_tensor_file, write_tensor_file

CONFIG = {
    "name": "x",
    "data": {"name": "blobs", "samples": 60},
    "model": {"name": "mlp", "hidden": [5], "batch_norm": True},
    "optimizer": {"name": "adam"},
    "scheduler": {"name": "exponential", "gamma": 0.9},
    "train": {"epochs": 2, "batch_size": 16},
}
SPARE_BYTES = 400_000_000
INVALID: tuple[Any, ...] = (
    *(None, True, -1, 0, 7, 2**31, 2**63 - 1, -(2**70), 10**9, 0.5, float("nan"), float("inf"), "", "x", "cuda:99"),
    *([], {}, (), [[]], {"name": "x"}, [1, "2"], list(range(50))),
)
Mutation = Callable[[bytes, random.Random], bytes]


def truncate(content: bytes, rng: random.Random) -> bytes:
    """Truncates the content."""
    return content[: rng.randrange(len(content))]


def flip(content: bytes, rng: random.Random) -> bytes:
    """Flips up to eight bits."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def splice(content: bytes, rng: random.Random) -> bytes:
    """Inserts or overwrites a part with another part of the content, or with random bytes."""
    length, at = rng.randint(1, 200), rng.randrange(len(content))
    start = rng.randrange(len(content))
    part = content[start : start + length] if rng.random() < 0.5 else rng.randbytes(length)
    return content[:at] + part + content[at + rng.choice((0, length)) :]


class Planted:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Returns the call that pickle makes."""
        return os.mkdir, ("planted",)


def repacked(content: bytes, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Returns an archive with changed entries and correct checksums."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, part in entries.items():
            archive.writestr(name, change(name, part))
    return made.getvalue()


def plant(content: bytes, rng: random.Random) -> bytes:
    """Plants a pickle that calls a function: as the file, before the content, or inside of the archive."""
    value: Any = rng.choice([Planted(), [Planted()], {"format": Planted(), "version": 1}])
    planted = pickle.dumps(value, protocol=rng.randint(0, 5))
    match rng.randrange(3):
        case 0:
            return planted
        case 1:
            return planted + content
    if not content.startswith(b"PK"):
        return content[:8] + planted + content[8:]
    return repacked(content, lambda name, part: planted if name.endswith(".pkl") else part)


def bomb(content: bytes, rng: random.Random) -> bytes:
    """Makes an entry unpack to 100 MB, or claim another size."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        victim = rng.choice(archive.namelist())
    if rng.random() < 0.1:
        return repacked(content, lambda name, part: bytes(10**8) if name == victim else part, zipfile.ZIP_DEFLATED)
    at = content.rindex(victim.encode())
    return content[: at - 22] + struct.pack("<I", rng.randrange(2**32)) + content[at - 18 :]


def mutate_structure(content: bytes, rng: random.Random) -> bytes:
    """Damages the pickle or another entry of an archive, with correct checksums."""
    how = rng.choice([truncate, flip, splice, claim, claim])
    inside = ".pkl" if rng.random() < 0.8 else rng.choice(("/0", "/3", "byteorder", "version"))
    return repacked(content, lambda name, part: how(part, rng) if name.endswith(inside) and part else part)


def claim(content: bytes, rng: random.Random) -> bytes:
    """Replaces a small number in a pickle by a huge one."""
    places = [index for index in range(len(content) - 1) if content[index : index + 1] == b"K"]
    if not places:
        return content
    at = rng.choice(places)
    number = rng.choice(
        [b"J\xff\xff\xff\x7f", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"J\xff\xff\xff\xff", b"K\xff"]
    )
    return content[:at] + number + content[at + 2 :]


def change_value(value: Any, rng: random.Random) -> Any:
    """Returns a copy of nested values with one value replaced by an invalid one, or removed."""
    if isinstance(value, dict | list | tuple) and value and rng.random() < 0.9:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = rng.choice(keys)
        copy = dict(value) if isinstance(value, dict) else list(value)
        if rng.random() < 0.1:
            del copy[key]
        else:
            copy[key] = change_value(value[key], rng)
        return copy
    if isinstance(value, torch.Tensor) and rng.random() < 0.7:
        changed = [
            value.reshape(-1)[: value.numel() // 2],
            value.double(),
            value.to(torch.int64),
            torch.full_like(value, 100),
            torch.zeros(1).expand(10**12),
            torch.zeros(0),
            value.unsqueeze(0),
            torch.full_like(value.float(), float("nan")),
        ]
        return rng.choice(changed)
    return rng.choice(INVALID)


def change_state_dict(content: bytes, rng: random.Random) -> bytes:
    """Changes values of a state dict."""
    made = io.BytesIO()
    torch.save(change_value(torch.load(io.BytesIO(content), weights_only=True), rng), made)
    return made.getvalue()


def change_checkpoint(content: bytes, rng: random.Random) -> bytes:
    """Changes values of a checkpoint, with a correct checksum."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "last.safetensors"
        path.write_bytes(content)
        state = change_value(load_checkpoint(path), rng)
        if rng.random() < 0.3:
            state = load_checkpoint(path)
            state["metadata"] = change_value(state["metadata"], rng)
        with contextlib.suppress(TypeError, KeyError, RuntimeError):  # a value that a checkpoint can't store
            save_checkpoint(path, state)
        return path.read_bytes()


def change_encoding(content: bytes, rng: random.Random) -> bytes:
    """Changes the JSON encoding of a checkpoint, with a correct checksum."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "last.safetensors"
        path.write_bytes(content)
        tensors, metadata = read_tensor_file(path)
        tag = rng.choice(["$tensor", "$tuple", "$dict", "$float", "$counter", "$other"])
        text = json.dumps(change_value(metadata, rng), default=str)
        if rng.random() < 0.5:
            text = text.replace(rng.choice(["$tensor", "$tuple", "$dict", "$float"]), tag)
        changed = json.loads(text.replace("NaN", "null").replace("Infinity", "1e300"))
        write_tensor_file(path, tensors, changed if isinstance(changed, dict) else {"version": changed})
        return path.read_bytes()


def change_header(content: bytes, rng: random.Random) -> bytes:
    """Changes the safetensors header of an artifact."""
    length = int.from_bytes(content[:8], "little")
    if rng.random() < 0.2:
        return struct.pack("<Q", rng.choice([0, 1, length + 1, 2**31, 2**63, 2**64 - 1])) + content[8:]
    header = json.loads(content[8 : 8 + length])
    name = rng.choice([key for key in header if key != "__metadata__"])
    part = rng.choice(["shape", "dtype", "data_offsets"])
    header[name][part] = rng.choice([[2**40], [2**62, 4], [0, 2**63], [-1], [0, 0], "F64", "I8", [], None])
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def change_artifact(content: bytes, rng: random.Random) -> bytes:
    """Changes values of an artifact, with a correct checksum, or replaces its weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "best.safetensors"
        path.write_bytes(content)
        original = load_artifact(path)
        weights, metadata = dict(original.weights), dict(original.metadata)
        if rng.random() < 0.1:
            return save({"w": torch.ones(3)}, {"nnzoo": json.dumps(metadata)})
        if rng.random() < 0.6:
            changed = change_value(metadata, rng)
            metadata = json.loads(json.dumps(changed, default=str).replace("NaN", "null").replace("Infinity", "1e300"))
        else:
            name = rng.choice(sorted(weights))
            found = change_value(weights.pop(name), rng)
            if isinstance(found, torch.Tensor) and found.numel() < 10**6:
                weights[rng.choice((name, name, "other"))] = found
        save_artifact(path, Artifact(weights, original.preprocess, metadata if isinstance(metadata, dict) else {}))
        return path.read_bytes()


ANY = (truncate, flip, splice, plant)
MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "last.safetensors": (
        *ANY,
        change_header,
        change_encoding,
        change_encoding,
        change_checkpoint,
        change_checkpoint,
        change_checkpoint,
    ),
    "best.safetensors": (*ANY, change_header, change_artifact, change_artifact),
    "theirs.pt": (*ANY, bomb, mutate_structure, mutate_structure, change_state_dict),
}


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Limits the address space to the current size plus `SPARE_BYTES` inside of the context."""
    size = Path("/proc/self/statm")
    before = resource.getrlimit(resource.RLIMIT_AS)
    if size.exists():
        limit = int(size.read_text().split()[0]) * resource.getpagesize() + SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def attempt(arguments: list[str]) -> str:
    """Runs a command and returns what is wrong with its result; empty if nothing is."""
    error = io.StringIO()
    with limited_memory(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        code = command(arguments)
    output = error.getvalue()
    lines = [line for line in output.splitlines() if not line.startswith("warning: ")]
    if "bug in nnzoo" in output or "Traceback" in output or "out of memory" in output:
        return output
    if code not in (0, 1, 2, 3, 4) or (code and len(lines) != 1):
        return f"exit code {code}: {output}"
    return "code in the file was run" if Path("planted").exists() else ""


def fuzz(numbers: range, seed: int) -> Counter[str]:
    """Mutates the files of a run, and a state dict, in the current folder.

    Returns:
        The number of mutations of each kind, and under "wrong" the number of failures.
    """
    Path("c.json").write_text(json.dumps(CONFIG))
    with contextlib.redirect_stdout(io.StringIO()):
        assert command(["train", "c.json", "-q"]) == 0
    shutil.copytree("runs", "original")
    Path("original/x/previous.safetensors").unlink()
    torch.save(nnzoo.load("original/x").module.state_dict(), "original/x/theirs.pt")
    contents = {name: Path("original/x", name).read_bytes() for name in MUTATIONS}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        # Trigger all lazy imports before memory is limited.
        assert not any(command(each) for name in MUTATIONS for each in commands(name, "original/x"))
    done = Counter[str]()
    for number in numbers:
        rng = random.Random(f"{seed} {number}")
        name = rng.choice(sorted(MUTATIONS))
        mutation = rng.choice(MUTATIONS[name])
        mutated = mutation(contents[name], rng)
        shutil.rmtree("runs")
        shutil.copytree("original", "runs")
        Path("runs/x", name).write_bytes(mutated)
        wrong = next(filter(None, map(attempt, commands(name, "runs/x"))), "")
        if wrong:
            print(f"seed {seed}, mutation {number} ({mutation.__name__} of {name}): {wrong}", flush=True)
            done["wrong"] += 1
        done[f"{mutation.__name__} of {name}"] += 1
    return done


def commands(name: str, folder: str) -> list[list[str]]:
    """Returns the commands that read a file of a run directory."""
    if name == "theirs.pt":
        return [["train", "c.json", "-q", "--name", "y", "train.epochs=1", f"model.pretrained={folder}/{name}"]]
    read = [["eval", f"{folder}/{name}", "-q"]]
    if name == "last.safetensors":
        read.append(["train", "c.json", "-q", "--resume", "train.epochs=3"])
    return read


def main() -> None:
    """Prints the number of mutated files of each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation, to repeat one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="nnzoo-fuzz-") as folder, contextlib.chdir(folder):
        done = fuzz(range(arguments.first, arguments.first + arguments.mutations), arguments.seed)
    wrong = done.pop("wrong", 0)
    print(f"{done.total()} mutations, {wrong} went wrong: {dict(sorted(done.items()))}")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
