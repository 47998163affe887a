"""Feeds damaged and hostile checkpoints and artifacts to `eval` and `train --resume`: one line, no code, little memory.

.venv/bin/python scripts/fuzz.py [--mutations 2000] [--seed 0] [--first 0]

A run is trained once. Then its last.pt and its best.safetensors are mutated: cut short, bits flipped, values of other
types and sizes put in, tensors that claim any shape, archives that unpack to any size, pickles that call. Each file
must be used or refused with an error of one line, in an address space that has little more than the program itself.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from nnzoo.cli.app import run as command
from nnzoo.run.artifact import Artifact, load_artifact, save_artifact
from nnzoo.run.checkpoint import load_checkpoint

CONFIG = {
    "name": "x",
    "data": {"name": "blobs", "samples": 60},
    "model": {"name": "mlp", "hidden": [5], "batch_norm": True},
    "optimizer": {"name": "adam"},
    "scheduler": {"name": "exponential", "gamma": 0.9},
    "train": {"epochs": 2, "batch_size": 16},
}
SPARE_BYTES = 400_000_000
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 7, 2**31, 2**63 - 1, -(2**70), 10**9, 0.5, float("nan"), float("inf"), "", "x", "cuda:99"),
    *([], {}, (), [[]], {"name": "x"}, [1, "2"], list(range(50))),
)
Mutation = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, rng: random.Random) -> bytes:
    """Cuts it short."""
    return content[: rng.randrange(len(content))]


def flip(content: bytes, rng: random.Random) -> bytes:
    """Flips up to eight bits."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def splice(content: bytes, rng: random.Random) -> bytes:
    """Puts a part of it, or noise, somewhere else."""
    length, at = rng.randint(1, 200), rng.randrange(len(content))
    start = rng.randrange(len(content))
    part = content[start : start + length] if rng.random() < 0.5 else rng.randbytes(length)
    return content[:at] + part + content[at + rng.choice((0, length)) :]


class Planted:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Is called by pickle."""
        return os.mkdir, ("planted",)


def repacked(content: bytes, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive with other entries and right checksums."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name, part in entries.items():
            archive.writestr(name, change(name, part))
    return made.getvalue()


def plant(content: bytes, rng: random.Random) -> bytes:
    """A pickle that calls, in an archive that is right, alone, or before it."""
    value: Any = rng.choice([Planted(), [Planted()], {"format": Planted(), "version": 1}])
    planted = pickle.dumps(value, protocol=rng.randint(0, 5))
    match rng.randrange(3):
        case 0:
            return planted
        case 1:
            return planted + content
    return repacked(content, lambda name, part: planted if name.endswith(".pkl") else part)


def bomb(content: bytes, rng: random.Random) -> bytes:
    """An entry that unpacks to a gigabyte, or says so."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        victim = rng.choice(archive.namelist())
    if rng.random() < 0.1:
        return repacked(content, lambda name, part: bytes(10**8) if name == victim else part, zipfile.ZIP_DEFLATED)
    at = content.rindex(victim.encode())
    return content[: at - 22] + struct.pack("<I", rng.randrange(2**32)) + content[at - 18 :]


def mutate_pickle(content: bytes, rng: random.Random) -> bytes:
    """Damages the pickle, or an entry's size, under right checksums."""
    how = rng.choice([cut, flip, splice, claim, claim])
    inside = ".pkl" if rng.random() < 0.8 else rng.choice(("/0", "/3", "byteorder", "version"))
    return repacked(content, lambda name, part: how(part, rng) if name.endswith(inside) and part else part)


def claim(content: bytes, rng: random.Random) -> bytes:
    """Puts a huge number in the place of a small one of a pickle."""
    places = [index for index in range(len(content) - 1) if content[index : index + 1] == b"K"]
    if not places:
        return content
    at = rng.choice(places)
    number = rng.choice(
        [b"J\xff\xff\xff\x7f", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"J\xff\xff\xff\xff", b"K\xff"]
    )
    return content[:at] + number + content[at + 2 :]


def change_value(value: Any, rng: random.Random) -> Any:
    """A copy of nested values with something odd somewhere in it, or something missing."""
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
        odd = [
            value.reshape(-1)[: value.numel() // 2],
            value.double(),
            value.to(torch.int64),
            torch.full_like(value, 100),
            torch.zeros(1).expand(10**12),
            torch.zeros(0),
            value.unsqueeze(0),
            torch.full_like(value.float(), float("nan")),
        ]
        return rng.choice(odd)
    return rng.choice(ODD)


def odd_state(content: bytes, rng: random.Random) -> bytes:
    """A checkpoint whose values are others; or its metadata."""
    state = torch.load(io.BytesIO(content), weights_only=True)
    if rng.random() < 0.3:
        state["metadata"] = json.dumps(change_value(json.loads(state["metadata"]), rng), default=str)
    else:
        state = change_value(state, rng)
    made = io.BytesIO()
    torch.save(state, made)
    return made.getvalue()


def odd_header(content: bytes, rng: random.Random) -> bytes:
    """An artifact whose header says something else."""
    length = int.from_bytes(content[:8], "little")
    if rng.random() < 0.2:
        return struct.pack("<Q", rng.choice([0, 1, length + 1, 2**31, 2**63, 2**64 - 1])) + content[8:]
    header = json.loads(content[8 : 8 + length])
    name = rng.choice([key for key in header if key != "__metadata__"])
    part = rng.choice(["shape", "dtype", "data_offsets"])
    header[name][part] = rng.choice([[2**40], [2**62, 4], [0, 2**63], [-1], [0, 0], "F64", "I8", [], None])
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def odd_artifact(content: bytes, rng: random.Random) -> bytes:
    """An artifact with other values and a right checksum; or weights of somebody else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "best.safetensors"
        path.write_bytes(content)
        whole = load_artifact(path)
        weights, metadata = dict(whole.weights), dict(whole.metadata)
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
        save_artifact(path, Artifact(weights, whole.preprocess, metadata if isinstance(metadata, dict) else {}))
        return path.read_bytes()


MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "last.pt": (cut, flip, splice, plant, bomb, mutate_pickle, odd_state, odd_state, odd_state),
    "best.safetensors": (cut, flip, splice, odd_header, odd_artifact, odd_artifact),
}


def limit_memory() -> None:
    """No more than the program has now, and a little."""
    size = Path("/proc/self/statm")
    if size.exists():
        limit = int(size.read_text().split()[0]) * resource.getpagesize() + SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def attempt(arguments: list[str]) -> str:
    """Runs a command; what is wrong with how it ended, else an empty text."""
    error = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        code = command(arguments)
    said = error.getvalue()
    lines = [line for line in said.splitlines() if not line.startswith("warning: ")]
    if "bug of nnzoo" in said or "Traceback" in said or "out of memory" in said:
        return said
    if code not in (0, 1, 2, 3, 4) or (code and len(lines) != 1):
        return f"exit code {code}: {said}"
    return "its code was run" if Path("planted").exists() else ""


def fuzz(numbers: range, seed: int) -> Counter[str]:
    """Mutates the files of a run in the working folder.

    Returns:
        How many mutations of each kind there were; those that went wrong end the program.
    """
    Path("c.json").write_text(json.dumps(CONFIG))
    assert not attempt(["train", "c.json", "-q"])
    shutil.copytree("runs", "whole")
    contents = {name: Path("whole/x", name).read_bytes() for name in MUTATIONS}
    load_checkpoint(Path("whole/x/last.pt"))
    assert not attempt(["eval", "whole/x"])
    limit_memory()
    done = Counter[str]()
    for number in numbers:
        rng = random.Random(f"{seed} {number}")
        name = rng.choice(sorted(MUTATIONS))
        mutation = rng.choice(MUTATIONS[name])
        mutated = mutation(contents[name], rng)
        shutil.rmtree("runs")
        shutil.copytree("whole", "runs")
        Path("runs/x/previous.pt").unlink()
        Path("runs/x", name).write_bytes(mutated)
        wrong = attempt(["eval", f"runs/x/{name}", "-q"])
        if not wrong and name == "last.pt":
            wrong = attempt(["train", "c.json", "-q", "--resume", "train.epochs=3"])
        if wrong:
            print(f"seed {seed}, mutation {number} ({mutation.__name__} of {name}): {wrong}", flush=True)
            done["wrong"] += 1
        done[f"{mutation.__name__} of {name}"] += 1
    return done


def main() -> None:
    """Says how many files of each kind were tried."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation, to see one again")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="nnzoo-fuzz-") as folder, contextlib.chdir(folder):
        done = fuzz(range(arguments.first, arguments.first + arguments.mutations), arguments.seed)
    wrong = done.pop("wrong", 0)
    print(f"{done.total()} mutations, {wrong} went wrong: {dict(sorted(done.items()))}")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
