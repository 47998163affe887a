"""Rules of the data section: split, columns and sizes."""

from __future__ import annotations

from collections.abc import Iterator

from nnzoo.config import data
from nnzoo.config.document import Problem
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts
from nnzoo.config.model import PRETRAINED
from nnzoo.config.placeholders import placeholder_in_path, placeholder_message


def data_rules(config: Config, facts: Facts) -> Iterator[Problem]:
    source = config.data
    yield from _placeholders(config)
    if source.split.val + source.split.test >= 1:
        yield ("data", "split"), f"val {source.split.val} and test {source.split.test} leave no samples to train on."
    if source.split.group is not None and not source.has_columns:
        yield ("data", "split", "group"), f"{source.name} has no columns to group by. Remove it."
    if isinstance(source, data.TableCells):
        yield from _duplicates(source)
    if isinstance(source, data.CellFormats) and source.decimal == source.thousands != "auto":
        yield ("data", "thousands"), f"'{source.thousands}' is also the decimal separator. Change one of the two."
    if isinstance(source, data.TableSource):
        yield from _columns(source)
    if isinstance(source, data.Text) and source.target is None and (source.text is not None or source.names):
        key = "text" if source.text is not None else "names"
        yield ("data", key), f"{key} needs a table, but without `target` each line is a text. Set `target` to a column."
    if isinstance(source, data.Language) and source.split.deduplicate and not source.by_line:
        yield (
            ("data", "split", "deduplicate"),
            "the text is a single sequence, which has no duplicates. Set `by_line: true`, or remove this key.",
        )
    if isinstance(source, data.Series):
        yield from _series(config, source)
    if isinstance(source, data.Gate) and source.samples is None:
        if source.noise:
            yield (
                ("data", "noise"),
                "noise needs `samples`, the number of noisy copies of the four rows. Set `samples`.",
            )
        # A resolved config holds the default fractions.
        if source.split not in (data.Split(), data.Split(val=0, test=0)):
            yield ("data", "split"), "the four rows are not split. Set `samples`, or remove this key."
    if isinstance(source, data.ImageFolder) and isinstance(source.size, tuple) and len(source.size) != 2:
        yield ("data", "size"), f"expected a number, or [height, width], got {len(source.size)} numbers."
    if isinstance(source, data.Random):
        if source.classes and source.targets:
            yield ("data", "targets"), "a sample has either classes or regression targets. Set one of the two."
        if facts.layout is None:
            yield ("data", "shape"), f"expected one to three sizes: [F], [T, F] or [C, H, W], got {len(source.shape)}."


def _placeholders(config: Config) -> Iterator[Problem]:
    """Rejects placeholders of other tools in paths."""
    for section, key in (*(("data", key) for key in data.PATH_FIELDS), PRETRAINED):
        path = getattr(getattr(config, section), key, None)
        if isinstance(path, str) and (placeholder := placeholder_in_path(path)):
            yield (section, key), placeholder_message(placeholder, f"{section}.{key}")


def _duplicates(source: data.TableCells) -> Iterator[Problem]:
    for key in ("names", "target", "features", "categorical"):
        columns = getattr(source, key, None)
        if isinstance(columns, tuple) and len(set(columns)) < len(columns):
            yield ("data", key), f"'{next(each for each in columns if columns.count(each) > 1)}' is listed twice."


def _columns(source: data.TableSource) -> Iterator[Problem]:
    """Rejects columns of a table that are given two conflicting roles."""
    if len(source.target) > 1 and source.task == "classification":
        yield (
            ("data", "target"),
            "classification needs one target column. For several columns of labels, use `task: multilabel`.",
        )
    parts = {
        "target": source.target,
        "sequence_id": (source.sequence_id,),
        "ignore": source.ignore,
        "features": source.features or (),
    }
    used: dict[str, str] = {}
    for key, columns in parts.items():
        for name in columns:
            if name is not None and used.setdefault(name, key) != key:
                yield ("data", key), f"'{name}' is also given as {used[name]}. Remove it from one of them."
    for column in source.categorical:
        if used.get(column) in ("ignore", "target"):
            yield ("data", "categorical"), f"'{column}' is also given as {used[column]}. Remove it from one of them."
    for column, kind in source.types.items():
        if used.get(column) == "ignore" or (column in source.categorical and kind != "category"):
            other = used.get(column, "categorical")
            yield ("data", "types"), f"'{column}' is also given as {other}. Remove it from one of them."


def _series(config: Config, source: data.Series) -> Iterator[Problem]:
    if source.split.deduplicate:
        yield (
            ("data", "split", "deduplicate"),
            "equal rows of a series are not duplicates, since their times differ. Remove it.",
        )
    if source.difference is True and source.target_features is None:
        yield (
            ("data", "difference"),
            "the last value of a target is an input only if it is among `features`. Add it there.",
        )
    if source.difference is True and (config.preprocess.pca or config.preprocess.zca):
        yield (
            ("data", "difference"),
            "pca and zca mix the columns, so the last value of a target is not an input. Use false or auto.",
        )
    for column in source.categorical:
        if column in (*source.target, *(source.features or ())):
            yield (
                ("data", "categorical"),
                f"'{column}' is also given as a numeric column. Remove it from one of them.",
            )
