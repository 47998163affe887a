"""YAML that is read, and YAML that is refused before the schema is checked."""

from __future__ import annotations

import itertools
import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from nnzoo.config import load_config
from nnzoo.errors import ConfigError, UsageError

VALID = "data: digits\nmodel: mlp\n"


@pytest.fixture(autouse=True)
def _inside_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(content: str | bytes) -> str:
    """Returns the message for an invalid file."""
    Path("c.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError) as caught:
        load_config("c.yaml")
    return str(caught.value)


def read(content: str | bytes) -> Any:
    Path("c.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    return load_config("c.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E-3", 0.001),
        ("1.e-3", 0.001),
        (".5", 0.5),
        ("+.5", 0.5),
        ("2", 2.0),
        ("010", 10.0),
        ("0o17", 15.0),
        ("0x1F", 31.0),
        ("!!float 3", 3.0),
    ],
)
def test_numbers_are_those_of_yaml_1_2(text: str, value: float) -> None:
    assert read(f"{VALID}optimizer: {{lr: {text}}}\n").optimizer.lr == value


@pytest.mark.parametrize("word", ["no", "on", "yes", "off", "y", "n", "No", "ON"])
def test_booleans_of_yaml_1_1_are_text(word: str) -> None:
    assert read(f"{VALID}name: {word}\n").name == word


@pytest.mark.parametrize("text", ["1_000", "1:30", "2020-01-01", "1e-3x", "0b11", "0777x", ".", "1e", "nan", "inf"])
def test_other_notations_of_numbers_are_text(text: str) -> None:
    assert f"optimizer.lr: expected a number, got '{text}'." in refused(f"{VALID}optimizer: {{lr: {text}}}\n")


@pytest.mark.parametrize("text", ["20", "2e1", "20.0", "0x14", "0o24", "+20"])
def test_integers_in_all_notations(text: str) -> None:
    epochs = read(f"{VALID}train: {{epochs: {text}}}\n").train.epochs
    assert epochs == 20
    assert isinstance(epochs, int)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", "expected an integer, got 1.5."),
        ("true", "expected an integer, got true."),
        ("'20'", "expected an integer, got '20'. Remove the quotes."),
        ('"20"', "expected an integer, got '20'. Remove the quotes."),
        ("20 epochs", "expected an integer, got '20 epochs'."),
        (".inf", "expected an integer, got inf."),
        ("1e400", "expected an integer, got inf."),
        ("9" * 5000, "expected an integer, got inf."),
        ("[20]", "expected an integer, got a list."),
        ("null", "expected an integer, got null. Remove the key to use its default."),
        ("0", "expected at least 1, got 0."),
        ("1e10", "expected at most 1000000000, got 10000000000. (maximum number of epochs)"),
    ],
)
def test_invalid_integers_are_refused(text: str, expected: str) -> None:
    assert f"c.yaml:3:17: train.epochs: {expected}\n" in refused(f"{VALID}train: {{epochs: {text}}}\n")


@pytest.mark.parametrize("text", [".inf", "-.inf", ".INF", ".nan", "1e999"])
def test_infinite_numbers_are_refused(text: str) -> None:
    assert "optimizer.lr: expected a finite number, got" in refused(f"{VALID}optimizer: {{lr: {text}}}\n")


def test_all_duplicate_keys_are_listed() -> None:
    message = refused("data: digits\ndata: iris\nmodel: {name: mlp, hidden: [3],\n  hidden: [4]}\n")
    assert message == (
        "c.yaml:2:1: duplicate key 'data' (first on line 1). Remove one of the two.\n    data: iris\n    ^\n"
        "c.yaml:4:3: duplicate key 'hidden' (first on line 3). Remove one of the two.\n      hidden: [4]}\n      ^"
    )


@pytest.mark.parametrize(
    ("line", "column", "part"),
    [
        ("init: {<<: zeros}", 12, "`<<` merges a mapping of this file"),
        ("name: !!python/object/apply:os.system [touch owned]", 7, "the tag tag:yaml.org,2002:python/object/apply"),
        ("!!python/name:os.system : 3", 1, "a key must be plain text"),
        ('seed: !!int "x"', 7, "the tag tag:yaml.org,2002:int is not allowed"),
        ("seed: !custom 3", 7, "the tag !custom is not allowed"),
        ("train: !custom {epochs: 3}", 8, "the tag !custom is not allowed"),
        ("train: !!set {epochs}", 8, "the tag tag:yaml.org,2002:set is not allowed"),
        ("name: !!binary aGk=", 7, "the tag tag:yaml.org,2002:binary is not allowed"),
        ("? [a, b]", 3, "a key must be plain text"),
        ("train: {{a: 1}: 3}", 9, "a key must be plain text"),
        ("train: {epochs: 3", 8, "the bracket that starts here is never closed"),
        ("name: 'abc", 7, "the quote that starts here is never closed"),
        ("name: @abc", 7, "text that starts with this character needs quotes"),
        ("name: *abc", 7, "the alias has no anchor. Write `&NAME` before the value"),
        ("name: a: b", 8, "a ':' is not allowed here. Is the line indented too far?"),
        ("  name: abc", 7, "a ':' is not allowed here. Is the line indented too far?"),
        ("name:abc\ntrain: {epochs: 3}", 1, "Is the ':' missing, or the space after it?"),
        ("train:\n\tepochs: 3", 1, "YAML is indented with spaces, but this line starts with a tab"),
        ("---\ndata: digits", 1, "a second document starts here, but a file must hold one experiment"),
    ],
)
def test_yaml_that_is_refused(line: str, column: int, part: str) -> None:
    message = refused(f"{VALID}{line}\n")
    first, shown, caret = message.split("\n")[:3]
    assert part in first
    place = first.split(": ")[0].split(":")
    assert place[0] == "c.yaml"
    assert int(place[2]) == column
    assert shown == f"    {(VALID + line).split(chr(10))[int(place[1]) - 1]}".replace("\t", " ")
    assert caret == " " * (3 + column) + "^"
    assert not Path("owned").exists()


def test_supported_yaml_features_are_read() -> None:
    config = read(
        "%YAML 1.2\n---\ndata: digits\nmodel:\n  name: mlp\n  activation: &act {name: elu, alpha: 0.5}\n"
        "  layers: [&layer {units: 3}, *layer, {units: 4, activation: *act}]\nname: !!str 5\n...\n"
    )
    assert [layer.units for layer in config.model.layers] == [3, 3, 4]
    assert config.model.layers[2].activation == config.model.activation
    assert config.name == "5"


def test_an_alias_inside_itself() -> None:
    assert "c.yaml:2:8: the alias is inside the value that it repeats" in refused(
        "data: digits\nmodel: &m {name: mlp, hidden: *m}\n"
    )


def bomb(width: int) -> str:
    """Returns nested lists of aliases, which would expand to width^12 values."""
    names = [chr(ord("a") + level) for level in range(12)]
    lines = [f"a: &a [{','.join('x' * width)}]"]
    lines += [f"{name}: &{name} [{','.join([f'*{below}'] * width)}]" for below, name in itertools.pairwise(names)]
    return "\n".join(lines)


def test_an_alias_bomb_takes_little_time() -> None:
    started = time.process_time()
    message = refused(bomb(100))
    assert time.process_time() - started < 2
    assert "more than 100,000 values, counting each use of an alias" in message


def test_an_alias_bomb_takes_little_memory() -> None:
    content = bomb(10)
    tracemalloc.start()
    try:
        refused(content)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "value", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, "{a: " * 50_000, "[" * 60 + "]" * 60, "- " * 300 + "x"]
)
def test_deep_nesting_is_refused_at_its_place(value: str) -> None:
    started = time.process_time()
    message = refused(f"data: digits\nmodel:\n  {value}\n")
    assert time.process_time() - started < 2
    assert message.startswith("c.yaml:3:")
    assert "nested deeper than 50 levels" in message


def test_nesting_by_aliases_is_refused() -> None:
    lines = ["k0: &k0 [x]", *(f"k{level}: &k{level} [*k{level - 1}]" for level in range(1, 100))]
    assert "nested deeper than 50 levels, aliases included" in refused("\n".join(lines))


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n", "---\n", "--- # nothing\n...\n"])
def test_an_empty_file(content: str) -> None:
    assert refused(content) == "c.yaml:1:1: the file is empty. It needs at least `data` and `model`."


@pytest.mark.parametrize(
    "content", ["- data\n- model\n", "hello\n", "data digits\nmodel mlp\n", "3\n", "[]\n", "null\n"]
)
def test_the_root_must_be_a_mapping(content: str) -> None:
    message = refused(content)
    assert message.startswith("c.yaml:1:1: ")
    assert "`data` and `model`" in message


def test_a_byte_order_mark_is_skipped() -> None:
    assert read(b"\xef\xbb\xbf" + VALID.encode()).data.name == "digits"
    assert "c.yaml:1:1: dta: unknown key" in refused(b"\xef\xbb\xbfdta: digits\nmodel: mlp\n")


@pytest.mark.parametrize(
    ("content", "place", "byte"),
    [
        (VALID.encode("utf-16"), "1:1", "ff"),
        ("data: digits\nmodel: mélp\n".encode("latin-1"), "2:9", "e9"),
        ("data: digits\n# éé".encode() + b"\xe9\n", "2:5", "e9"),
        (b"\xef\xbb\xbf" + VALID.encode() + b"\xff", "3:1", "ff"),
    ],
)
def test_bytes_that_are_not_utf_8(content: bytes, place: str, byte: str) -> None:
    assert refused(content).startswith(f"c.yaml:{place}: not UTF-8 (byte 0x{byte}). Save the file as UTF-8.\n")


@pytest.mark.parametrize(("sign", "code"), [("\x00", "0000"), ("\x1b", "001B"), ("\x7f", "007F")])
def test_control_characters_are_located_and_not_printed(sign: str, code: str) -> None:
    message = refused(f"{VALID}name: a{sign}b\n")
    assert message.startswith(f"c.yaml:3:8: the character U+{code} is not allowed in YAML.")
    assert sign not in message


def test_escaped_control_characters_are_not_printed() -> None:
    message = refused(f'{VALID}name: "a\\e[31m\\nb"\n"k\\eey": 3\n')
    assert "\x1b" not in message
    assert "got 'a\\x1b[31m\\nb'." in message
    assert "k\\x1bey: unknown key" in message


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_endings(newline: str) -> None:
    assert read(VALID.replace("\n", newline)).model.name == "mlp"
    message = refused(f"{VALID}train:\n  epohcs: 3\n".replace("\n", newline))
    assert message.startswith("c.yaml:4:3: train.epohcs: unknown key.")
    assert message.endswith("\n      epohcs: 3\n      ^")


def test_long_lines_are_truncated_around_the_place() -> None:
    padding = "x" * 300
    message = refused(f"{VALID}train: {{monitor: {padding}, epohcs: 3, device: {padding}}}\n")
    first, shown, caret = message.split("\n")[:3]
    assert first.startswith(f"c.yaml:3:{20 + 300}: train.epohcs")
    assert len(shown) < 200
    assert shown[len(caret) - 1 :].startswith("epohcs")


def test_very_long_files_and_lists_of_problems_are_bounded() -> None:
    message = refused("#" * 4_000_001)
    assert "larger than 4,000,000 bytes" in message
    message = refused(VALID + "".join(f"key{number}: 3\n" for number in range(1000)))
    assert message.count("unknown key") == 100
    assert message.endswith("... and 900 more")


def test_a_folder_and_a_missing_file() -> None:
    Path("folder.yaml").mkdir()
    with pytest.raises(UsageError, match=r"^folder\.yaml: this folder has no config\.yaml"):
        load_config("folder.yaml")
    with pytest.raises(UsageError, match=r"^digits_mpl\.yaml: no such file.*Did you mean 'digits_mlp'\?"):
        load_config("digits_mpl.yaml")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission() -> None:
    Path("c.yaml").write_text(VALID)
    Path("c.yaml").chmod(0)
    with pytest.raises(ConfigError, match=r"^c\.yaml: can't be read: Permission denied\.$"):
        load_config("c.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "train: &t {epochs: 3, batch_size: 8}\nx-other: {<<: *t}\n",
        "x-t: &t {epochs: 3, batch_size: 9}\ntrain: {<<: *t, batch_size: 8}\n",
        "x-t: &t {epochs: 3, batch_size: 9}\ntrain: {batch_size: 8, <<: *t}\n",
        "x-a: &a {epochs: 3}\nx-b: &b {epochs: 4, batch_size: 8}\ntrain:\n  <<: [*a, *b]\n",
        "x-a: &a {epochs: 3}\nx-b: &b {<<: *a, batch_size: 8}\ntrain:\n  <<: *b\n",
        "train:\n  <<: {epochs: 3, batch_size: 8}\n",
        "x-e: &e {}\ntrain: {<<: *e, epochs: 3, batch_size: 8}\n",
    ],
)
def test_merge_keys(text: str) -> None:
    train = read(VALID + text).train
    assert (train.epochs, train.batch_size) == (3, 8)


def test_a_merged_value_keeps_its_place() -> None:
    message = refused(f"{VALID}x-t: &t\n  epochs: none\ntrain:\n  <<: *t\n")
    assert message.startswith("c.yaml:4:11: train.epochs: expected an integer, got 'none'.\n      epochs: none\n")
    message = refused(f"{VALID}x-t: &t {{epohcs: 3}}\ntrain: {{<<: *t}}\n")
    assert message.startswith("c.yaml:3:10: train.epohcs: unknown key. Did you mean 'epochs'?")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("train: &t {<<: *t}", "the alias is inside the value that it repeats"),
        ("train: {<<: {epochs: 3}, <<: {epochs: 4}}", "duplicate key '<<'"),
        ("train: {<<: base.yaml}", "To start from another file, use `extends: base.yaml`."),
        ("train: {<<: [{epochs: 3}, 3]}", "`<<` merges a mapping of this file"),
        ("'<<': {epochs: 3}", "<<: unknown key."),
        (
            "defaults: &d {epochs: 3}\ntrain: {<<: *d}",
            "A key that only holds an anchor must start with `x-`: 'x-defaults'.",
        ),
    ],
)
def test_merge_keys_that_are_refused(line: str, problem: str) -> None:
    assert problem in refused(f"{VALID}{line}\n")


def test_merging_is_bounded() -> None:
    lines = ["x-0: &k0 {epochs: 3}", *(f"x-{n}: &k{n} {{<<: [*k{n - 1}, *k{n - 1}]}}" for n in range(1, 40))]
    started = time.process_time()
    assert "more than 100,000 values" in refused(VALID + "\n".join(lines))
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("line", "placeholder", "key"),
    [
        ("optimizer: {lr: ${LR}}", "${LR}", "KEY"),
        ("optimizer:\n  lr: ${LR}", "${LR}", "optimizer.lr"),
        ("optimizer:\n  lr: $LR", "$LR", "optimizer.lr"),
        ("optimizer:\n  lr: {{ lr }}", "{{ lr }}", "KEY"),
        ("optimizer:\n  lr: '{{lr}}'", "{{lr}}", "optimizer.lr"),
        ("optimizer:\n  lr: ${oc.env:LR,0.1}", "${oc.env:LR,0.1}", "optimizer.lr"),
        ("optimizer:\n  lr: $(LR)", "$(LR)", "optimizer.lr"),
        ("optimizer:\n  lr: %(lr)s", "%(lr)s", "KEY"),
        ("optimizer: ${OPTIMIZER}", "${OPTIMIZER}", "optimizer"),
        ("train:\n  epochs: <%= epochs %>", "<%= epochs %>", "train.epochs"),
        ("name: run-${SEED}", "${SEED}", "name"),
    ],
)
def test_placeholders_get_a_hint(line: str, placeholder: str, key: str) -> None:
    first = refused(f"{VALID}{line}\n").split("\n")[0]
    assert f"placeholders such as {placeholder} are not supported." in first
    assert f"`nnzoo train CONFIG {key}=VALUE`" in first
    assert "`extends: base.yaml`" in first


@pytest.mark.parametrize("path", ["${DATA}/x.csv", "$HOME/x.csv", "{{ root }}/x.csv"])
def test_a_placeholder_in_a_path(path: str) -> None:
    message = refused(f"data: {{name: csv, path: '{path}', target: y}}\nmodel: mlp\n")
    assert "data.path: placeholders such as" in message
    assert read("data: {name: csv, path: 'a$b/~$x.csv', target: y}\nmodel: mlp\n").data.path.endswith("/a$b/~$x.csv")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("optimizer: !include adam.yaml", "use `extends: base.yaml` at the top level"),
        ("optimizer: !inc adam.yaml", "use `extends: base.yaml` at the top level"),
        ("seed: !env SEED", "`nnzoo train CONFIG KEY=VALUE`"),
        ("seed: !ENV ${SEED}", "`nnzoo train CONFIG KEY=VALUE`"),
        ("seed: !custom 3", "Write the plain value."),
        ("defaults: [base]", "Did you mean 'extends'?"),
        ("include: base.yaml", "Did you mean 'extends'?"),
        ("name: *.csv", "`*` starts an alias in YAML: text that starts with it needs quotes."),
        ("name: &", "`&` starts an anchor in YAML: text that starts with it needs quotes."),
        ("seed: *seed", "Write `&NAME` before the value that it repeats, further up in this file"),
    ],
)
def test_features_of_other_tools_get_a_hint(line: str, part: str) -> None:
    assert part in refused(f"{VALID}{line}\n")
