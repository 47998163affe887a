"""Loads a config from a path, a name or a dict, and checks it."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nnzoo.config.base import dump, members
from nnzoo.config.data import PATH_FIELDS, DataSection
from nnzoo.config.diagnose import error_of_problems, error_of_validation
from nnzoo.config.document import Entry, Place, Problem, from_plain, is_index, merge, put
from nnzoo.config.experiment import Config, implied_name
from nnzoo.config.facts import Facts
from nnzoo.config.model import PRETRAINED, Custom, is_run_name
from nnzoo.config.rules import check
from nnzoo.config.shipped import shipped_configs
from nnzoo.config.suggest import did_you_mean
from nnzoo.config.yaml_reader import located, parse, printable, read_yaml
from nnzoo.errors import ConfigError, UsageError

ANCHORS = "x-"
"""Top-level keys of a file that start with this hold YAML anchors, and mean nothing by themselves."""

ConfigLike = str | os.PathLike[str] | Mapping[str, Any] | Config


def load_config(
    config: ConfigLike,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    custom_model: bool = False,
    data: Mapping[str, Any] | None = None,
) -> Config:
    """Reads and checks a config, without reading data.

    Args:
        config: A path (a file that exists wins), the name of a shipped config, a run directory, a dict, or a config.
        overrides: `{"optimizer.lr": 3e-4}`, or texts such as `optimizer.lr=3e-4`.
        custom_model: Whether the model comes from Python, so that the config needs none.
        data: Of data that comes from Python, the fields of its section. What the config says of other data is replaced,
            but for keys that mean the same here, such as `split`.

    Raises:
        ConfigError: With all problems at once, each with its place.
        UsageError: There is no such config.
    """
    root = _override(_document(config), overrides)
    if custom_model:
        root.value["model"] = from_plain({"name": "custom"}, "model=")
    if data is not None:
        root.value["data"] = _data_section(root.child("data"), data)
    try:
        checked = Config.model_validate(root.plain())
    except ValidationError as error:
        raise error_of_validation(error, root) from None
    if isinstance(checked.model, Custom) and not custom_model:
        problem = "custom is your own module, handed to nnzoo.train(config, model=...) from Python."
        raise error_of_problems([(("model",), problem)], root)
    checked._origin = root
    check_facts(checked, checked.data.facts())
    return checked


def _data_section(said: Entry | None, given: Mapping[str, Any]) -> Entry:
    """The section of data from Python, with the keys that the config has for it."""
    section = from_plain(dict(given), "data=")
    keys = said.value if said is not None and isinstance(said.value, dict) else {}
    named = keys.get("name")
    # What is said of another source may be about its files; a key that no source has is an error.
    foreign = set() if named is None or named.value == given["name"] else _keys_of(named.value)
    known = members(DataSection)[given["name"]].model_fields
    section.value = {
        **{key: entry for key, entry in keys.items() if key in known or key not in foreign},
        **section.value,
    }
    return section


def _keys_of(name: object) -> set[str]:
    source = members(DataSection).get(name) if isinstance(name, str) else None
    return set(source.model_fields) if source is not None else set()


def check_facts(config: Config, facts: Facts) -> None:
    """Checks the rules across sections against the facts about the data.

    Raises:
        ConfigError: With all problems at once.
    """
    problems = check(config, facts)
    if problems:
        raise problems_of(config, problems)


def problems_of(config: Config, problems: list[Problem]) -> ConfigError:
    """Returns problems that were found while building from a config as an error, with the place of each key."""
    return error_of_problems(problems, origin(config))


def origin(config: Config) -> Entry:
    """Returns the document that a config was read from, for messages."""
    found = config._origin
    return found if found is not None else from_plain(dump(config), "config")


def config_path(text: str) -> Path:
    """Returns the file of a CONFIG argument.

    Raises:
        UsageError: None does.
    """
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir() and (path / "config.yaml").is_file():
        return path / "config.yaml"
    shipped = shipped_configs()
    if text in shipped:
        return shipped[text]
    if path.is_dir():
        raise UsageError("a folder without a config.yaml. Give a YAML file or a run directory.", where=text)
    hint = did_you_mean(path.stem, shipped)
    raise UsageError(
        f"no such file, run directory or shipped config.{hint} (`nnzoo list configs` names them)", where=text
    )


def _document(config: ConfigLike) -> Entry:
    if isinstance(config, Config):
        return _document_of(config)
    if isinstance(config, Mapping):
        return _absolute(from_plain(dict(config), "config"), Path.cwd())
    given: object = config
    if not isinstance(given, str | os.PathLike):
        expected = "expected a path, the name of a shipped config, a dict or a config"
        raise UsageError(f"{expected}, got {config!r}.", where="config")
    path = config_path(os.fspath(given))
    return _read(path, _label(path), ())


def _document_of(config: Config) -> Entry:
    """Returns a copy of the document of a config; for a changed one (`model_copy`), its values."""
    found = config._origin
    if found is None or dump(Config.model_validate(found.plain())) != dump(config):
        return from_plain(dump(config), "config")
    return copy.deepcopy(found)


def _label(path: Path) -> str:
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if path.is_absolute() and absolute.is_relative_to(here) else str(path)


def _read(path: Path, label: str, below: tuple[Path, ...]) -> Entry:
    """Reads a file and what it extends; `below` are the files that extend it."""
    root = _absolute(read_yaml(path, label), path.absolute().parent)
    if not isinstance(root.value, dict):
        raise _at(root, "expected a mapping with `data` and `model`, such as `data: digits`.")
    extends = root.value.pop("extends", None)
    for key in [key for key in root.value if key.startswith(ANCHORS)]:
        del root.value[key]
    if not below:
        stem = re.sub(r"[^\w.-]+", "_", path.stem).lstrip(".-")[:100] or "run"
        root.value.setdefault("name", Entry(stem, root.place, root.place))
    if extends is None:
        return root
    base_path = _extended(extends, path)
    chain = (*below, path.resolve())
    if base_path.resolve() in chain:
        raise _at(extends, "extends: the files extend each other in a circle.")
    base = _read(base_path, _label(base_path), chain)
    base.value.pop("name", None)
    return _merged(base, root)


def _merged(base: Entry, over: Entry) -> Entry:
    """Merges a document into the one that it extends. A section without a name takes the one that the model implies."""
    model = over if over.child("model") else base
    return merge(base, over, lambda key: implied_name(key, model))


def _extended(extends: Entry, path: Path) -> Path:
    if not isinstance(extends.value, str):
        raise _at(extends, "extends: expected the path of a config file, or the name of a shipped one.")
    beside = path.parent / _at_home(extends.value)
    if beside.is_file():
        return beside
    # With its suffix too: a copy of a shipped config may extend another one, by the name of its file.
    shipped = shipped_configs()
    if (stem := extends.value.removesuffix(".yaml")) in shipped:
        return shipped[stem]
    siblings = (file.name for file in path.parent.glob("*.yaml") if file != path)
    raise _at(extends, f"extends: no such file: {beside}.{did_you_mean(extends.value, [*siblings, *shipped])}")


def _at(entry: Entry, message: str) -> ConfigError:
    return ConfigError([located(entry.place, message)], where=str(entry.place))


def _absolute(root: Entry, folder: Path) -> Entry:
    """Makes paths absolute; they are relative to the file that names them. The name of a run stays a name."""
    for key, field in (*(("data", field) for field in PATH_FIELDS), PRETRAINED):
        section = root.child(key)
        entry = section.child(field) if section else None
        if entry and isinstance(entry.value, str) and entry.value:
            absolute = os.path.normpath(folder / _at_home(entry.value))
            if (key, field) != PRETRAINED or not is_run_name(entry.value) or Path(absolute).exists():
                entry.value = absolute
    return root


def _at_home(path: str) -> Path:
    """Expands `~` in a path, if there is such a user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def check_overrides(overrides: Mapping[str, Any] | Sequence[str]) -> None:
    """Checks the type of overrides that come from Python.

    Raises:
        UsageError: They are neither a dict with texts as keys nor texts.
    """
    if not isinstance(overrides, Mapping | Sequence) or not all(isinstance(text, str) for text in overrides):
        expected = "expected a dict such as {'optimizer.lr': 3e-4}, or texts such as 'optimizer.lr=3e-4'"
        raise UsageError(f"{expected}, got {overrides!r}.", where="overrides")


def _override(root: Entry, overrides: Mapping[str, Any] | Sequence[str]) -> Entry:
    """Applies overrides to a document: mappings first, so that a section of a new name keeps what was given with it."""
    check_overrides(overrides)
    if isinstance(overrides, str):
        overrides = [overrides]
    over = Entry({}, root.place, root.key_place)
    indexed = []
    for path, entry in _parse_overrides(overrides):
        if any(is_index(part) for part in path):
            indexed.append((path, entry))
        elif (stopped := put(over, path, entry)) is not None:
            raise _at(entry, f"{'.'.join(path[:stopped])}: another override sets it to a value without keys.")
    merged = _merged(root, _absolute(over, Path.cwd()))
    for path, entry in indexed:
        stopped = put(merged, path, entry)
        if stopped is not None:
            raise _at(entry, f"{'.'.join(path[:stopped])}: has no item {path[stopped]}.")
    return merged


def _parse_overrides(overrides: Mapping[str, Any] | Sequence[str]) -> list[tuple[list[str], Entry]]:
    if isinstance(overrides, Mapping):
        pairs = [(key, from_plain(value, f"override {key}={value}")) for key, value in overrides.items()]
    else:
        pairs = []
        for text in overrides:
            key, equals, value = text.partition("=")
            if not equals or not key:
                raise UsageError(
                    f"'{text}' is not an override. Write KEY=VALUE, such as optimizer.lr=3e-4.", where="override"
                )
            pairs.append((key.strip(), _parse_value(value, text)))
    for key, _ in pairs:
        if "" in key.split("."):
            raise UsageError(
                f"'{key}' is not a dotted key. Write KEY=VALUE, such as optimizer.lr=3e-4.", where="override"
            )
    return [(key.split("."), entry) for key, entry in pairs]


def _parse_value(value: str, text: str) -> Entry:
    label = printable(f"override {text}")
    try:
        entry = parse(value, "", empty=True)
    except ConfigError as error:
        # Line and column of an override tell nothing.
        problems = [problem.split("\n")[0].split(": ", 1)[1] for problem in error.problems]
        raise ConfigError([f"{label}: {problem}" for problem in problems], where=label) from None
    place = Place(label)
    for _, inner in entry.walk():
        inner.place = inner.key_place = place
    return entry
