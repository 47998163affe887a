"""Valid configs, each broken in one way: they are refused with a place, and nothing is trained."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnzoo.cli.app import run

VALID = [
    "data: digits\nmodel: mlp\n",
    "name: run\nseed: 3\ndata:\n  name: moons\n  samples: 200\n"
    "model:\n  name: mlp\n  hidden: [8, 4]\n  activation: tanh\n",
    "data: {name: iris, split: {val: 0.2, test: 0.2}}\nmodel:\n  name: mlp\n  layers:\n    - {units: 4, init: zeros}\n"
    "    - {units: 3, activation: {name: leaky_relu, negative_slope: 0.2}}\n",
    "data: {name: random, shape: [3, 4], targets: 2}\nmodel: linear\nloss: {name: huber, delta: 2.0}\n",
    "data: diabetes\nmodel: linear\noptimizer: {name: sgd, lr: 0.1, momentum: 0.9}\n"
    "scheduler: {name: step, step_size: 3, warmup_epochs: 1}\nregularization: {l1: 0.1}\n",
    "data: wine\nmodel: {name: mlp, output: {activation: softmax}}\ninit: {name: constant, val: 0.5}\n"
    "train:\n  epochs: 3\n  batch_size: full\n  metrics: [f1, accuracy]\n  monitor: val/f1\n"
    "  early_stopping: {patience: 2}\n",
]
REQUIRED: dict[int, list[tuple[str | int, ...]]] = {
    0: [("data",), ("model",)],
    1: [("data",), ("model",), ("model", "name"), ("data", "name")],
    2: [("model", "layers", 0, "units"), ("model", "layers", 1, "units"), ("model", "name"), ("data", "name")],
    3: [("data", "shape"), ("data", "name"), ("model",)],
    4: [("model",), ("data",)],
    5: [("init", "val"), ("model", "name")],
}


@st.composite
def broken_configs(draw: st.DrawFn) -> bytes:
    """Draws a file that is never a valid config."""
    index = draw(st.integers(0, len(VALID) - 1))
    text = VALID[index]
    kind = draw(st.sampled_from([drop, misspell, retype, duplicate, indent, damage, tag, alias, nest, foreign]))
    return kind(draw, index, text)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Returns the path of every key of a document."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [deeper for key, item in items for deeper in ((*path, key), *paths(item, (*path, key)))]


def holder(document: Any, path: tuple[str | int, ...]) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


def write(document: Any) -> bytes:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()


def drop(draw: st.DrawFn, index: int, text: str) -> bytes:
    document = yaml.safe_load(text)
    path = draw(st.sampled_from(REQUIRED[index]))
    del holder(document, path)[path[-1]]
    return write(document)


def misspell(draw: st.DrawFn, index: int, text: str) -> bytes:
    document = yaml.safe_load(text)
    path = draw(st.sampled_from([path for path in paths(document) if isinstance(path[-1], str)]))
    section, key = holder(document, path), str(path[-1])
    # No key of nnzoo has an x after its second letter, or at its end.
    at = draw(st.sampled_from([2, len(key)]))
    section[f"{key[:at]}x{key[at:]}"] = section.pop(key)
    return write(document)


def retype(draw: st.DrawFn, index: int, text: str) -> bytes:
    """Replaces a value by one of a type or range that the key does not accept."""
    document = yaml.safe_load(text)
    path = draw(st.sampled_from(paths(document)))
    section, key = holder(document, path), path[-1]
    wrong: list[Any] = [{"surely": "wrong"}, True, "no such word"]
    if isinstance(section[key], int | float):
        wrong += [[["wrong"]], -(10**30)]
    elif isinstance(section[key], str):
        wrong += [[["wrong"]], 1.25]
    else:
        wrong += [1.25]
    section[key] = draw(st.sampled_from(wrong))
    return write(document)


def duplicate(draw: st.DrawFn, index: int, text: str) -> bytes:
    keys = [line for line in text.splitlines() if ":" in line and not line.startswith((" ", "-"))]
    return (text + draw(st.sampled_from(keys)).split(":")[0] + ": {}\n").encode()


def indent(draw: st.DrawFn, index: int, text: str) -> bytes:
    lines = text.splitlines()
    at = draw(st.integers(1, len(lines) - 1))
    blanks = draw(st.sampled_from([" ", "\t", "       "]))
    return "\n".join([*lines[:at], blanks + "wrong: " + lines[at], "  }"]).encode()


def damage(draw: st.DrawFn, index: int, text: str) -> bytes:
    content = bytearray(text.encode())
    at = draw(st.integers(0, len(content)))
    junk = draw(st.sampled_from([b"\xff", b"\xc3\x28", b"\x00", b"\x1b[31m", b"\xed\xa0\x80", b"\xfe\xff"]))
    return bytes(content[:at] + junk + content[at:])


def tag(draw: st.DrawFn, index: int, text: str) -> bytes:
    wrong = draw(
        st.sampled_from(
            [
                "!!python/object/apply:os.mkdir [owned]",
                "!!python/name:os.system ''",
                "!!int x",
                "!own {a: 1}",
                "!!set {a}",
            ]
        )
    )
    return f"{text}augment: {wrong}\n".encode()


def alias(draw: st.DrawFn, index: int, text: str) -> bytes:
    wrong = draw(st.sampled_from(["&a [*a]", "&a {b: *a}", "*nowhere", "{<<: {}}", "[&b [x], *b, *c]"]))
    return f"{text}augment: {wrong}\n".encode()


def nest(draw: st.DrawFn, index: int, text: str) -> bytes:
    depth = draw(st.sampled_from([51, 400, 5000]))
    opening = draw(st.sampled_from(["[", "{a: "]))
    return f"{text}augment: {opening * depth}\n".encode()


def foreign(draw: st.DrawFn, index: int, text: str) -> bytes:
    """Replaces the document by something that is not a mapping."""
    junk = random.Random(draw(st.integers(0, 1000))).randbytes(draw(st.integers(1, 200)))
    return draw(
        st.sampled_from(
            [b"", b"\n# nothing\n", b"- data\n", b"data\n", b"--- \n", b"3", b"\xff" + junk, b"{" + text.encode()]
        )
    )


@settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=broken_configs())
def test_a_broken_config_is_refused_with_a_place(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_bytes(content)
    for command in (["validate", "broken.yaml"], ["train", "broken.yaml", "--runs-dir", "runs"]):
        assert run(command) == 2, content
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("broken.yaml:"), captured.err
        assert captured.err.split(":")[1].isdigit(), captured.err
        assert "Traceback" not in captured.err
        assert "bug" not in captured.err
        assert all(sign.isprintable() or sign == "\n" for sign in captured.err)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.yaml"]


@pytest.mark.parametrize("text", VALID)
def test_the_configs_are_valid_before_the_mutation(text: str, tmp_path: Path) -> None:
    path = tmp_path / "valid.yaml"
    path.write_text(text)
    assert run(["validate", str(path)]) == 0
    path.write_bytes(write(yaml.safe_load(text)))
    assert run(["validate", str(path)]) == 0


@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!'\"\n #|>,?%@`\t", max_size=60).map(str.encode))
def test_arbitrary_bytes_are_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    # Such bytes contain no name of a data source, so they are never valid.
    assert run(["validate", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"{path}:1:" if b"\n" not in content else f"{path}:")


def test_a_folder_is_not_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"nnzoo: {tmp_path}: this folder has no config.yaml.")
    assert run(["train", str(tmp_path)]) == 3
    assert capsys.readouterr().err.startswith(f"nnzoo: {tmp_path}: has no data:")
