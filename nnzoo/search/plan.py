"""The plan of a sweep: its config, search space, method and number of trials, all checked before a trial starts."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from nnzoo.config import Config, dump, load_config
from nnzoo.config.data import PATH_FIELDS
from nnzoo.config.metrics import direction
from nnzoo.config.model import PRETRAINED
from nnzoo.config.suggest import did_you_mean
from nnzoo.config.yaml_writer import flow
from nnzoo.errors import ConfigError, UsageError
from nnzoo.search.space import EXAMPLE, Dimension, Range, Values, num_combinations, parse_dimension, values_of
from nnzoo.search.sweep_file import read_sweep_file

Method = Literal["tpe", "random", "grid"]
METHODS: tuple[Method, ...] = get_args(Method)
DEFAULT_TRIALS = 32
MAX_GRID = 10_000
MAX_CHECKED = 256
"""Combinations of values that are checked before the first trial. Of more, a sample is checked that has every value."""
FILE = "sweep.yaml"
_OF_MACHINES = ("name", "train.device", "train.num_threads", "data.cache")
"""Config keys that may differ between the machines of a sweep."""
_PATHS = (*(f"data.{field}" for field in PATH_FIELDS), ".".join(PRETRAINED))


@dataclass(frozen=True)
class Options:
    """The options of the command line; None if not given."""

    method: str | None = None
    trials: int | None = None
    metric: str | None = None
    mode: str | None = None
    seed: int | None = None
    prune: bool | None = None
    name: str | None = None
    runs_dir: str = "runs"


@dataclass(frozen=True)
class Plan:
    """A checked sweep.

    Attributes:
        name: The name of the sweep and of its directory.
        runs_dir: The folder with the directory.
        config: The config that all trials share.
        space: The searched keys.
        method: tpe, random or grid.
        trials: The number of trials.
        mode: Whether a lower or a higher value of the monitor is better.
        seed: The seed of the method.
        prune: Whether trials that are worse than the others at the same epoch are ended.
    """

    name: str
    runs_dir: Path
    config: Config
    space: Mapping[str, Dimension]
    method: Method
    trials: int
    mode: Literal["min", "max"]
    seed: int
    prune: bool

    @property
    def folder(self) -> Path:
        """The directory of the sweep."""
        return self.runs_dir / self.name

    @property
    def metric(self) -> str:
        """The monitor that decides, such as val/loss; "auto" until the data is known."""
        return self.config.train.monitor

    def config_of(self, values: Mapping[str, Any], name: str) -> Config:
        """Returns the config of a trial.

        Args:
            values: The values of the searched keys.
            name: The name of the run.

        Raises:
            ConfigError: The values do not fit together.
        """
        return load_config(self.config, {**values, "name": name})

    def identity(self) -> dict[str, Any]:
        """Returns all that must be equal for a sweep to be continued, as plain values by name."""
        found = {f"config {key}": value for key, value in _leaves(dump(self.config)) if key not in _OF_MACHINES}
        for field in PATH_FIELDS:
            if isinstance(path := found.get(f"config data.{field}"), str):
                found[f"config data.{field}"] = Path(path).name
        found |= {f"space {key}": str(each) for key, each in self.space.items()}
        return {**found, "method": self.method, "seed": self.seed, "prune": self.prune}

    def as_yaml(self) -> str:
        """Returns the sweep as a sweep file, which repeats or continues it."""
        space = {key: list(each.values) if isinstance(each, Values) else str(each) for key, each in self.space.items()}
        entries = {
            "name": self.name,
            "method": self.method,
            "trials": self.trials,
            "seed": self.seed,
            "prune": self.prune,
            "space": space,
            "config": dump(self.config),
        }
        return "".join(f"{key}:{_block(value)}\n" for key, value in entries.items())


def _block(value: Any) -> str:
    """Returns a value after a key: mappings have one line per key."""
    if not isinstance(value, dict):
        return f" {flow(value)}"
    return "".join(f"\n  {flow(key)}: {flow(inner)}" for key, inner in value.items())


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value


def plan_sweep(source: str, changes: Sequence[str], options: Options) -> Plan:
    """Reads and checks a sweep, without reading data or importing torch.

    Args:
        source: A config (a path, the name of a shipped config, a run directory), a sweep file, or the directory of a
            sweep.
        changes: `KEY=V1,V2,...` and `KEY=RANGE` of searched keys, and `KEY=VALUE` of keys that are the same in all
            trials.
        options: The other options.

    Raises:
        ConfigError: The config, or a combination of values, is invalid.
        UsageError: The search space or an option is wrong, or there is no such file.
    """
    folder = Path(source)
    if (folder / FILE).is_file():
        options = replace(options, name=options.name or folder.name, runs_dir=str(folder.parent))
        source = str(folder / FILE)
    file = read_sweep_file(source)
    config: Any = file.pop("config", source)
    space: dict[str, Dimension] = {}
    fixed: dict[str, Any] = dict(file.pop("overrides", None) or {})
    written: dict[str, Any] = file.pop("space", {})
    for key, value in written.items():
        _add(space, fixed, key, _dimension_of(key, value))
    for text in changes:
        key, equals, values = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"'{text}' is not a key with values. {EXAMPLE}.", where="sweep")
        _add(space, fixed, key.strip(), parse_dimension(key.strip(), values))
    given = {key: value for key, value in vars(options).items() if value is not None}
    given = {**file, **given}
    base = load_config(config, {**fixed, **_monitor(given)})
    if not space:
        raise UsageError(f"there is nothing to search: no key has several values or a range. {EXAMPLE}.", where="sweep")
    _check_keys(base, space)
    space = {key: _absolute(base, key, each) for key, each in space.items()}
    method, trials = _method_and_trials(space, given)
    return _checked(
        Plan(
            name=str(given.get("name") or f"{base.name}-sweep"),
            runs_dir=Path(options.runs_dir),
            config=base,
            space=space,
            method=method,
            trials=trials,
            mode=_mode(base),
            seed=_integer(given, "seed", 0, least=0),
            prune=given.get("prune", True) is not False and base.train.restarts == 1 and base.train.folds is None,
        )
    )


def _dimension_of(key: str, value: Any) -> Dimension:
    """Returns the dimension of a value in a sweep file: a list, a range, or a value that all trials share."""
    if isinstance(value, list):
        return values_of(key, value)
    return parse_dimension(key, value) if isinstance(value, str) else Values((value,))


def _add(space: dict[str, Dimension], fixed: dict[str, Any], key: str, dimension: Dimension) -> None:
    """Adds a searched key, or one that all trials share. The last one of the same key wins."""
    space.pop(key, None)
    fixed.pop(key, None)
    if isinstance(dimension, Values) and len(dimension.values) == 1:
        fixed[key] = dimension.values[0]
    else:
        space[key] = dimension


def _absolute(base: Config, key: str, dimension: Dimension) -> Dimension:
    """Makes searched paths absolute, as those of a config, so that the sweep can be continued from any folder."""
    if key not in _PATHS or not isinstance(dimension, Values):
        return dimension
    try:
        return Values(tuple(dict(_leaves(dump(load_config(base, {key: each}))))[key] for each in dimension.values))
    except ConfigError:
        # The checks of all values report it.
        return dimension


def _monitor(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the overrides that make a metric the monitor of all trials."""
    metric, mode = given.get("metric"), given.get("mode")
    if metric is not None and str(metric).startswith("test/"):
        raise UsageError(
            f"trials are never chosen by metrics of the test split (got {metric}). Use val/{str(metric)[5:]}.",
            where="metric",
        )
    if mode not in (None, "auto", "min", "max"):
        raise UsageError(f"expected min or max, got {flow(mode)}.", where="mode")
    changes = {} if metric is None else {"train.monitor": metric, "train.mode": "auto"}
    return changes if mode is None else {**changes, "train.mode": mode}


def _mode(config: Config) -> Literal["min", "max"]:
    train = config.train
    if train.mode != "auto":
        return train.mode
    # `auto` is a loss.
    return "min" if train.monitor == "auto" else direction(train.monitor.partition("/")[2])


def _integer(given: Mapping[str, Any], key: str, default: int, *, least: int) -> int:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"expected an integer of at least {least}, got {flow(value)}.", where=key)
    return value


def _method_and_trials(space: Mapping[str, Dimension], given: Mapping[str, Any]) -> tuple[Method, int]:
    """Returns the method and the number of trials. Without ranges, the default is all combinations."""
    ranges = [key for key, each in space.items() if isinstance(each, Range)]
    count = num_combinations(space)
    name = given.get("method") or ("tpe" if ranges or "trials" in given else "grid")
    if name not in METHODS:
        raise UsageError(
            f"'{name}' is not a method.{did_you_mean(str(name), METHODS)} ({', '.join(METHODS)})", where="method"
        )
    method: Method = next(each for each in METHODS if each == name)
    if method != "grid":
        trials = _integer(given, "trials", min(DEFAULT_TRIALS, count or DEFAULT_TRIALS), least=1)
        if count is not None and trials > count:
            raise UsageError(
                f"the space has only {count} combinations (got {trials} trials). Use at most {count}, or --method grid "
                "for all of them.",
                where="trials",
            )
        return method, trials
    if count is None:
        raise UsageError(
            f"a grid needs a list of values, but {ranges[0]} has the range {space[ranges[0]]}. List its values, give "
            "an int or uniform range a step, or use --method random.",
            where="method",
        )
    if count > MAX_GRID:
        raise UsageError(
            f"the grid has {count:,} combinations; at most {MAX_GRID:,} are possible. Use --method random or tpe.",
            where="method",
        )
    if given.get("trials") not in (None, count):
        raise UsageError(
            f"a grid has as many trials as combinations: {count} (got {given['trials']}). Remove --trials, or use "
            "--method random.",
            where="trials",
        )
    return method, count


def _check_keys(config: Config, space: Mapping[str, Dimension]) -> None:
    """Refuses keys whose trials could not be compared."""
    by_loss = config.train.monitor == "auto" or config.train.monitor.endswith("/loss")
    for key in space:
        section = key.partition(".")[0]
        if key in ("name", "extends", "train.monitor", "train.mode", "train.device", "train.num_threads", "train.log"):
            raise UsageError("is not a hyperparameter. Give it one value, or leave it out.", where=key)
        if key.startswith("data.split") or key in ("data", "data.limit", "train.folds"):
            raise UsageError(
                "changes the samples that trials are compared on, so their values could not be compared. Give it one "
                "value.",
                where=key,
            )
        if by_loss and (section == "loss" or key == "preprocess.scale_target"):
            raise UsageError(
                "changes the loss that trials are compared by. Compare them by a metric: --metric val/accuracy, "
                "val/mae, ...",
                where=key,
            )


def _checked(plan: Plan) -> Plan:
    """Checks all values of each key, then their combinations.

    Raises:
        ConfigError: The config of a trial would be invalid.
    """
    problems: list[str] = []
    where = ""
    for key, dimension in plan.space.items():
        for value in dimension.ends():
            # A value may need those of other keys, which the combinations have.
            others = {other: each.ends()[0] for other, each in plan.space.items() if other != key}
            try:
                plan.config_of({**others, key: value}, plan.name)
            except ConfigError as error:
                problems += error.problems
                where = where or error.where
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)), where=where)
    for values in combinations(plan.space, MAX_CHECKED):
        plan.config_of(values, plan.name)
    return plan


def combinations(space: Mapping[str, Dimension], count: int) -> Iterator[dict[str, Any]]:
    """Yields the combinations of the values and of the ends of ranges; if there are more than `count`, a sample."""
    ends = [each.ends() for each in space.values()]
    if math.prod(map(len, ends)) <= count:
        for chosen in itertools.product(*ends):
            yield dict(zip(space, chosen, strict=True))
        return
    generator = random.Random(0)
    for _ in range(count):
        yield {key: generator.choice(each) for key, each in zip(space, ends, strict=True)}
