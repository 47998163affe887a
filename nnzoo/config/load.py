"""Loads a config from a path, a name or a dict, and checks it."""

from __future__ import annotations

import copy
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nnzoo.config.auto_model import with_auto_model
from nnzoo.config.base import dump, members
from nnzoo.config.data import PATH_FIELDS, DataSection
from nnzoo.config.diagnose import error_of_problems, error_of_validation
from nnzoo.config.document import Entry, Place, Problem, from_plain, is_index, merge, put
from nnzoo.config.experiment import Config, implied_name
from nnzoo.config.facts import Facts
from nnzoo.config.model import PRETRAINED, Custom, is_run_name
from nnzoo.config.rules import check
from nnzoo.config.shipped import shipped_configs, shipped_folder
from nnzoo.config.suggest import did_you_mean
from nnzoo.config.yaml_reader import located, parse, printable, read_yaml
from nnzoo.errors import ConfigError, UsageError
from nnzoo.folders import DATA_VARIABLE, data_folder

ANCHOR_PREFIX = "x-"
"""Prefix of top-level keys that only hold YAML anchors and are ignored otherwise."""

_OF_FILES = {
    "path",
    "root",
    "download",
    "cache",
    "delimiter",
    "encoding",
    "header",
    "names",
    "skip_rows",
    "ragged",
    "sheet",
}
_OF_CELLS = {"target", "strict", "strip", "missing", "missing_target", "replace", "decimal", "thousands", "date_order"}
FILE_KEYS = {"frame": _OF_FILES, "memory": _OF_FILES | _OF_CELLS}
"""Keys about files and their cells, which data passed from Python replaces, by its source."""

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
        config: A path (an existing file takes precedence), the name of a shipped config, a run directory, a dict, or a
            Config.
        overrides: `{"optimizer.lr": 3e-4}`, or strings such as `optimizer.lr=3e-4`.
        custom_model: Whether the model is passed from Python, so that the config needs no `model`.
        data: The fields of the data section if the data is passed from Python. They replace the data section of the
            config, except keys that both kinds of data have, such as `split`.

    Raises:
        ConfigError: The config is invalid; the error lists all problems, each with its place.
        UsageError: The config does not exist.
    """
    root = _override(_document(config), overrides)
    if custom_model:
        root.value["model"] = from_plain({"name": "custom"}, "model=")
    if data is not None:
        _check_no_key_is_lost(root, data["name"])
        root.value["data"] = _data_section(root.child("data"), data)
    try:
        checked = Config.model_validate(root.plain())
    except ValidationError as error:
        raise error_of_validation(error, root) from None
    if isinstance(checked.model, Custom) and not custom_model:
        problem = "custom is only for modules passed from Python: nnzoo.train(config, model=...)."
        raise error_of_problems([(("model",), problem)], root)
    checked._origin = root
    facts = checked.data.facts()
    checked = with_auto_model(checked, facts)
    check_facts(checked, facts)
    return checked


def _data_section(written: Entry | None, given: Mapping[str, Any]) -> Entry:
    """Returns the data section for data passed from Python, with those keys of the config that apply to it."""
    section = from_plain(dict(given), "data=")
    keys = written.value if written is not None and isinstance(written.value, dict) else {}
    named = keys.get("name")
    # Keys of the other source are dropped if they are about its files; keys that no source has stay, and are an error.
    foreign = set() if named is None or named.value == given["name"] else _keys_of(named.value)
    known = members(DataSection)[given["name"]].model_fields
    section.value = {
        **{key: entry for key, entry in keys.items() if key in known or key not in foreign},
        **section.value,
    }
    return section


def _check_no_key_is_lost(root: Entry, given: str) -> None:
    """Raises an error for keys of the data section that would be lost because the data is passed from Python.

    Args:
        root: The config.
        given: The name of the data section for data passed from Python: `frame` or `memory`.
    """
    section = root.child("data")
    keys = section.value if section is not None and isinstance(section.value, dict) else {}
    source = keys["name"].value if "name" in keys else given
    lost = (set(keys) & _keys_of(source)) - _keys_of(given) - FILE_KEYS[given]
    if given == "frame" and source not in ("frame", "csv") and "path" in _keys_of(source):
        lost.add("name")
    kind = {"frame": "a table with one row per sample", "memory": "arrays with one sample per item"}[given]
    reason = f"does not apply to data passed from Python, which is read as {kind}. Remove it, or train from a file."
    if lost:
        raise error_of_problems([(("data", key), reason) for key in keys if key in lost], root)


def _keys_of(name: object) -> set[str]:
    source = members(DataSection).get(name) if isinstance(name, str) else None
    return set(source.model_fields) if source is not None else set()


def check_facts(config: Config, facts: Facts) -> None:
    """Checks the rules across sections against the facts about the data.

    Raises:
        ConfigError: A rule is violated; the error lists all problems.
    """
    problems = check(config, facts)
    if problems:
        raise problems_of(config, problems)


def problems_of(config: Config, problems: list[Problem]) -> ConfigError:
    """Returns problems with a config as an error, with the place of each key."""
    return error_of_problems(problems, origin(config))


def origin(config: Config) -> Entry:
    """Returns the document that a config was read from, for the places in messages."""
    found = config._origin
    return found if found is not None else from_plain(dump(config), "config")


def config_path(text: str) -> Path:
    """Returns the file of a CONFIG argument: a path, a run directory or the name of a shipped config.

    Raises:
        UsageError: No such config exists.
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
        raise UsageError("this folder has no config.yaml. Pass a YAML file or a run directory.", where=text)
    beside = [str(each) for each in path.parent.glob("*.y*ml")]
    hint = did_you_mean(text, beside) or did_you_mean(path.stem, shipped)
    raise UsageError(
        f"no such file, run directory or shipped config.{hint} (`nnzoo list configs` shows them)", where=text
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
    """Returns a copy of the document of a config; after a change by `model_copy` it is rebuilt from the values."""
    found = config._origin
    if found is None or dump(Config.model_validate(found.plain())) != dump(config):
        return from_plain(dump(config), "config")
    return copy.deepcopy(found)


def _label(path: Path) -> str:
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if path.is_absolute() and absolute.is_relative_to(here) else str(path)


def _read(path: Path, label: str, extending: tuple[Path, ...]) -> Entry:
    """Reads a file and the files that it extends; `extending` are the files that extend it."""
    root = _absolute(read_yaml(path, label), path.absolute().parent)
    if not isinstance(root.value, dict):
        is_config = path.suffix.lower() in (".yaml", ".yml", ".json")
        hint = "" if is_config else f" For a file of data, `nnzoo init {shlex.quote(label)}` writes a config."
        raise _error_at(root, f"expected a mapping with `data` and `model`, such as `data: digits`.{hint}")
    extends = root.value.pop("extends", None)
    for key in [key for key in root.value if key.startswith(ANCHOR_PREFIX)]:
        del root.value[key]
    if not extending:
        stem = re.sub(r"[^\w.-]+", "_", path.stem).lstrip(".-")[:100] or "run"
        root.value.setdefault("name", Entry(stem, root.place, root.place))
    if extends is None:
        return root
    base_path = _base_path(extends, path)
    chain = (*extending, path.resolve())
    if base_path.resolve() in chain:
        raise _error_at(extends, "extends: the files extend each other in a cycle. Remove one `extends`.")
    base = _read(base_path, _label(base_path), chain)
    base.value.pop("name", None)
    return _extend(base, root)


def _extend(base: Entry, over: Entry) -> Entry:
    """Merges a document into the one that it extends. The model decides the default names of other sections."""
    model = over if over.child("model") else base
    return merge(base, over, lambda key: implied_name(key, model))


def _base_path(extends: Entry, path: Path) -> Path:
    if not isinstance(extends.value, str):
        raise _error_at(extends, "extends: expected the path of a config file, or the name of a shipped config.")
    beside = path.parent / _expand_user(extends.value)
    if beside.is_file():
        return beside
    # The suffix is allowed, because shipped configs extend each other by file name, and so do copies of them.
    shipped = shipped_configs()
    if (stem := extends.value.removesuffix(".yaml")) in shipped:
        return shipped[stem]
    siblings = (file.name for file in path.parent.glob("*.yaml") if file != path)
    raise _error_at(extends, f"extends: no such file: {beside}.{did_you_mean(extends.value, [*siblings, *shipped])}")


def _error_at(entry: Entry, message: str) -> ConfigError:
    return ConfigError([located(entry.place, message)], where=str(entry.place))


def _absolute(root: Entry, folder: Path) -> Entry:
    """Makes paths absolute, relative to the folder of their file. The name of a run is not changed.

    Data that is not there is looked up in the folder of data sets.
    """
    for key, field in (*(("data", field) for field in PATH_FIELDS), PRETRAINED):
        section = root.child(key)
        entry = section.child(field) if section else None
        if entry and isinstance(entry.value, str) and entry.value:
            path = _expand_user(entry.value)
            absolute = os.path.normpath((folder if (key, field) == PRETRAINED else _data_root(path, folder)) / path)
            if (key, field) != PRETRAINED or not is_run_name(entry.value) or Path(absolute).exists():
                entry.value = absolute
    return root


def _data_root(path: Path, folder: Path) -> Path:
    """Returns the folder that a path of data is relative to: `folder`, or that of NNZOO_DATA if only that has it.

    Shipped configs name data sets that nnzoo does not contain, which are always expected in the folder of data sets.
    """
    sets, first = data_folder().absolute(), path.parts[0] if path.parts else ""
    if (folder / first).exists():
        return folder
    is_found = DATA_VARIABLE in os.environ and (sets / first).exists()
    return sets if is_found or folder == shipped_folder().absolute() else folder


def _expand_user(path: str) -> Path:
    """Expands `~` in a path, if the user exists."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def check_overrides(overrides: Mapping[str, Any] | Sequence[str]) -> None:
    """Checks the type of overrides passed from Python.

    Raises:
        UsageError: They are neither a dict with string keys nor a sequence of strings.
    """
    if not isinstance(overrides, Mapping | Sequence) or not all(isinstance(text, str) for text in overrides):
        expected = "expected a dict such as {'optimizer.lr': 3e-4}, or strings such as 'optimizer.lr=3e-4'"
        raise UsageError(f"{expected}, got {overrides!r}.", where="overrides")


def _override(root: Entry, overrides: Mapping[str, Any] | Sequence[str]) -> Entry:
    """Applies overrides to a document. Those with a list index come last, since other overrides may set the list."""
    check_overrides(overrides)
    if isinstance(overrides, str):
        overrides = [overrides]
    over = Entry({}, root.place, root.key_place)
    indexed = []
    for path, entry in _parse_overrides(overrides):
        if any(is_index(part) for part in path):
            indexed.append((path, entry))
        elif (stopped := put(over, path, entry)) is not None:
            raise _error_at(
                entry,
                f"{'.'.join(path[:stopped])}: another override sets this key to a value without "
                "keys. Remove one of the two.",
            )
    merged = _extend(root, _absolute(over, Path.cwd()))
    for path, entry in indexed:
        stopped = put(merged, path, entry)
        if stopped is not None:
            raise _error_at(entry, f"{'.'.join(path[:stopped])}: there is no item {path[stopped]} in it.")
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
        # Line and column of an override are of no use.
        problems = [problem.split("\n")[0].split(": ", 1)[1] for problem in error.problems]
        raise ConfigError([f"{label}: {problem}" for problem in problems], where=label) from None
    place = Place(label)
    for _, inner in entry.walk():
        inner.place = inner.key_place = place
    return entry
