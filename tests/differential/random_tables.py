"""Random tables with known values, written to disk in many formats.

hypothesis draws a plan: the columns, their spelling, the file format and the split. Cells come from a seed of the plan,
so that a table takes a millisecond and a failing plan can be shrunk.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Literal

from hypothesis import strategies as st
from spellings import BOOLEANS, DATE_FORMS, MISSING, SPELLINGS, loosely

Kind = Literal["number", "category", "boolean", "date", "code", "constant", "free text"]

LABELS = {
    "plain": ("red", "green", "blue", "violet", "ochre", "teal", "pink", "grey"),
    "signs": ("a,b", 'say "x"', "c;d", "e|f", "it's", "tab\there", "100% x", "#1", "<=50K", ">50K"),
    "unicode": ("größe", "naïve", "Łódź", "東京", "Ünal", "café", "ß", "Ñandú"),
    "latin": ("größe", "naïve", "Ünal", "café", "ß", "Ñandú", "Öl"),
    "cases": ("Red", "red", "RED", "Green", "green", "Blue"),
    "several words": ("very good", "good", "not so good", "bad", "very bad"),
    "several units": ("3 kg", "3 m", "10 l", "5 kg", "7 cm", "2 m"),
    "two lines": ("one\ntwo", "one", "two\nthree", "four"),
}

TEXT_POOL = ("lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "sed", "do", "magna", "aliqua", "minim", "quis")


@dataclass(frozen=True)
class ColumnPlan:
    """A feature column.

    Attributes:
        kind: The type of values.
        style: The spelling: a key of the tables in `spellings` or of `LABELS`.
        missing: The share of missing cells.
        spread: For numbers, the power of ten of the standard deviation.
        offset: For numbers, the mean.
        decimals: For numbers, the digits after the point; negative for trailing zeros of integers.
        count: The number of categories.
    """

    kind: Kind
    style: str
    missing: float = 0.0
    spread: int = 0
    offset: Decimal = Decimal(0)
    decimals: int = 2
    count: int = 4


@dataclass(frozen=True)
class FilePlan:
    """The file format."""

    delimiter: str = ","
    encoding: str = "utf-8"
    newline: str = "\n"
    suffix: str = ".csv"
    parts: int = 1
    quoting: Literal["minimal", "all"] = "minimal"
    blank_rows: bool = False
    short_rows: bool = False
    loose_blanks: bool = False
    title: str = "{}"


@dataclass(frozen=True)
class SplitPlan:
    """How samples are split; the fields are those of `data.split`."""

    val: float = 0.2
    test: float = 0.2
    seed: int = 0
    stratify: bool = True
    grouped: bool = False
    deduplicate: bool = False


@dataclass(frozen=True)
class Plan:
    """A table, and the depth of the test: `predict` and `eval --data` take ten times as long as reading."""

    seed: int
    num_rows: int
    columns: tuple[ColumnPlan, ...]
    target: tuple[ColumnPlan, ...]
    missing_targets: float
    repeated: float
    file: FilePlan
    split: SplitPlan
    depth: Literal["data", "predict", "evaluate"] = "data"

    @property
    def features(self) -> tuple[ColumnPlan, ...]:
        """All feature columns; the last one is never left out."""
        return (*self.columns, ColumnPlan("number", "plain", decimals=6))


@dataclass
class Written:
    """A table on disk.

    Attributes:
        plan: The plan.
        path: The file, or the folder of part files.
        names: The columns in file order: features `c0`, ..., perhaps a group `g`, then targets `y0`, ... The files have
            their titles.
        rows: The written cells, with part files in natural order.
    """

    plan: Plan
    path: Path
    names: tuple[str, ...]
    rows: list[list[str]] = field(default_factory=list)

    def plan_of(self, name: str) -> ColumnPlan:
        return (self.plan.features if name[0] == "c" else self.plan.target)[int(name[1:])]

    @property
    def cuts(self) -> list[int]:
        """The first row of each part file, and the end of the last one."""
        parts = self.plan.file.parts
        return [round(part * len(self.rows) / parts) for part in range(parts + 1)]

    def row_of(self, place: dict[str, str]) -> int:
        """Returns the row at a location: the part file, if there are several, and the row in it."""
        part = int(place["file"].split(".")[0].removeprefix("p")) - 1 if self.plan.file.parts > 1 else 0
        return self.cuts[part] + int(place["row"])

    def title(self, name: str) -> str:
        """Returns the title of a column in the files."""
        return self.plan.file.title.format(name)


OPEN = ("thousands", "german", "dollars", "euros")
"""Spellings that are ambiguous without decimals, such as 1,234 and 1.234."""


def numbers() -> st.SearchStrategy[ColumnPlan]:
    """Returns a strategy for columns of numbers of any scale, such as a spread of 1 around 1e9 or of 1e-30 around 0."""
    written = st.builds(
        ColumnPlan,
        kind=st.just("number"),
        style=st.sampled_from([*SPELLINGS, "loose", "exponent"]),
        missing=st.sampled_from([0.0, 0.0, 0.1, 0.4]),
        spread=st.integers(0, 6),
        offset=st.sampled_from([Decimal(each) for each in (0, 0, 0, 100, -5000, 10**6, 10**9, 1_700_000_000)]),
        decimals=st.sampled_from([0, 1, 2, 4]),
    )
    extreme = st.builds(
        ColumnPlan,
        kind=st.just("number"),
        style=st.sampled_from(["plain", "loose", "exponent"]),
        missing=st.sampled_from([0.0, 0.2]),
        spread=st.sampled_from([-30, -12, -6, -3, 9, 12, 17, 30]),
        decimals=st.integers(1, 15),
    ).map(lambda plan: replace(plan, decimals=plan.decimals - plan.spread))
    return st.one_of(written, written, extreme).map(_decided)


def _decided(plan: ColumnPlan) -> ColumnPlan:
    return replace(plan, decimals=2) if plan.style in OPEN and plan.decimals == 0 else plan


def features() -> st.SearchStrategy[ColumnPlan]:
    """Returns a strategy for feature columns."""
    missing = st.sampled_from([0.0, 0.0, 0.1, 0.4])
    others = {
        "category": list(LABELS),
        "boolean": list(BOOLEANS),
        "date": list(DATE_FORMS),
        "code": ["zip", "18 digits"],
        "constant": ["number", "text"],
        "free text": ["words"],
    }
    built = [
        st.builds(
            ColumnPlan,
            kind=st.just(kind),
            style=st.sampled_from(styles),
            missing=st.just(0.0) if kind in ("constant", "free text") else missing,
            count=st.integers(2, 8),
        )
        for kind, styles in others.items()
    ]
    return st.one_of(numbers(), numbers(), *built)


def targets() -> st.SearchStrategy[tuple[ColumnPlan, ...]]:
    """Returns a strategy for targets: one column of classes or numbers, or several of labels or numbers."""
    classes = st.builds(
        ColumnPlan,
        kind=st.just("category"),
        style=st.sampled_from(["plain", "signs", "cases", "whole numbers", "mixed numbers"]),
        count=st.integers(2, 4),
    )
    booleans = st.builds(ColumnPlan, kind=st.just("boolean"), style=st.sampled_from(list(BOOLEANS)))
    one = st.one_of(classes, booleans, numbers().map(_of_targets)).map(lambda plan: (plan,))
    several = st.one_of(
        st.lists(booleans, min_size=2, max_size=3), st.lists(numbers().map(_of_targets), min_size=2, max_size=3)
    )
    return st.one_of(one, one, several.map(tuple))


def _of_targets(plan: ColumnPlan) -> ColumnPlan:
    """Returns a target with decimals: a few distinct integers would be read as classes."""
    return replace(plan, missing=0.0, decimals=max(1 - plan.spread, plan.decimals))


def files() -> st.SearchStrategy[FilePlan]:
    """Returns a strategy for file formats."""
    return st.builds(
        FilePlan,
        delimiter=st.sampled_from([",", ",", ";", "\t", "|"]),
        encoding=st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"]),
        newline=st.sampled_from(["\n", "\r\n"]),
        suffix=st.sampled_from([".csv", ".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".csv.zip"]),
        parts=st.sampled_from([1, 1, 1, 3, 12]),
        quoting=st.sampled_from(["minimal", "all"]),
        blank_rows=st.booleans(),
        short_rows=st.booleans(),
        loose_blanks=st.booleans(),
        title=st.sampled_from(["{}", "{}", "{} größe", '{}, the "size"', "{} (kg)", "{};|", "Column {}", "{}\nm²"]),
    )


def splits() -> st.SearchStrategy[SplitPlan]:
    """Returns a strategy for splits."""
    share = st.sampled_from([0.0, 0.15, 0.2, 0.3])
    return st.builds(
        SplitPlan,
        val=share,
        test=share,
        seed=st.integers(0, 9),
        stratify=st.booleans(),
        grouped=st.sampled_from([False, False, True]),
        deduplicate=st.booleans(),
    )


def tables() -> st.SearchStrategy[Plan]:
    """Returns a strategy for tables."""
    return st.builds(
        Plan,
        seed=st.integers(0, 2**32 - 1),
        num_rows=st.integers(60, 160),
        columns=st.lists(features(), min_size=1, max_size=6).map(tuple),
        target=targets(),
        missing_targets=st.sampled_from([0.0, 0.0, 0.1]),
        repeated=st.sampled_from([0.0, 0.2]),
        file=files(),
        split=splits(),
        depth=st.sampled_from(["data"] * 5 + ["predict"] * 4 + ["evaluate"]),
    )


def write_table(plan: Plan, folder: Path) -> Written:
    """Writes a table into an empty folder."""
    random = Random(plan.seed)
    columns = {f"c{index}": _cells(each, plan, random) for index, each in enumerate(plan.features)}
    if plan.split.grouped:
        columns["g"] = [random.choice("abcdefghijklmnopqrst") * 3 for _ in range(plan.num_rows)]
    for index, each in enumerate(plan.target):
        columns[f"y{index}"] = _cells(each, plan, random)
    rows = [list(cells) for cells in zip(*columns.values(), strict=True)]
    _repeat(rows, plan, random)
    _remove_targets(rows, plan, random)
    written = Written(plan, folder / f"t{plan.file.suffix}" if plan.file.parts == 1 else folder, tuple(columns), rows)
    _write_files(written, folder, random)
    return written


def _cells(plan: ColumnPlan, table: Plan, random: Random) -> list[str]:
    """Returns the cells of a column."""
    fill = WRITERS[plan.kind](plan, table, random)
    cells = [fill() for _ in range(table.num_rows)]
    return [random.choice(MISSING) if random.random() < plan.missing else cell for cell in cells]


def _number_writer(plan: ColumnPlan, table: Plan, random: Random) -> Callable[[], str]:
    steps = 10 ** (plan.spread + plan.decimals)

    def cell() -> str:
        scaled = plan.offset + Decimal(round(random.gauss(0, 3) * steps)).scaleb(-plan.decimals)
        if plan.style == "loose":
            return loosely(scaled, random)
        return f"{scaled:e}" if plan.style == "exponent" else SPELLINGS[plan.style].write(scaled)

    return cell


def _label_writer(plan: ColumnPlan, table: Plan, random: Random) -> Callable[[], str]:
    if plan.style == "whole numbers":
        return lambda: str(random.randrange(plan.count))
    if plan.style == "mixed numbers":
        return lambda: f"{random.randrange(plan.count)}{random.choice(['', '.0', '.'])}"
    pool = LABELS[plan.style]
    if table.file.encoding == "cp1252":
        pool = tuple(label for label in pool if label.encode("cp1252", "ignore").decode("cp1252") == label)
    # The first two have different units; with one unit, they would be numbers.
    first = pool[:2] if plan.style == "several units" else ()
    rest = [label for label in pool if label not in first]
    labels = [*first, *random.sample(rest, min(plan.count, len(pool)) - len(first))]
    return lambda: random.choice(labels)


def _boolean_writer(plan: ColumnPlan, table: Plan, random: Random) -> Callable[[], str]:
    spellings = list(BOOLEANS[plan.style])
    return lambda: random.choice(spellings)


def _date_writer(plan: ColumnPlan, table: Plan, random: Random) -> Callable[[], str]:
    form = DATE_FORMS[plan.style]
    start = datetime(2019, 1, 1) + timedelta(days=random.randrange(400))
    return lambda: form.write(start + timedelta(minutes=random.randrange(3 * 365 * 24 * 60)))


def _code_writer(plan: ColumnPlan, table: Plan, random: Random) -> Callable[[], str]:
    if plan.style == "zip":
        codes = [f"{random.randrange(1, 999):05d}" for _ in range(plan.count)]
    else:
        first = random.randrange(10**17, 10**18)
        codes = [str(first + index) for index in range(plan.count)]
    return lambda: random.choice(codes)


def _constant_writer(plan: ColumnPlan, table: Plan, random: Random) -> Callable[[], str]:
    cell = "7" if plan.style == "number" else "same"
    return lambda: cell


def _text_writer(plan: ColumnPlan, table: Plan, random: Random) -> Callable[[], str]:
    return lambda: " ".join(random.choice(TEXT_POOL) for _ in range(7)) + f" {random.randrange(10**9)}x"


WRITERS: dict[Kind, Callable[[ColumnPlan, Plan, Random], Callable[[], str]]] = {
    "number": _number_writer,
    "category": _label_writer,
    "boolean": _boolean_writer,
    "date": _date_writer,
    "code": _code_writer,
    "constant": _constant_writer,
    "free text": _text_writer,
}


def _repeat(rows: list[list[str]], plan: Plan, random: Random) -> None:
    """Makes some rows repeat earlier ones, in other spellings if there are several."""
    plans = [*plan.features, *([None] if plan.split.grouped else []), *plan.target]
    for index in range(1, len(rows)):
        if random.random() < plan.repeated:
            row = rows[random.randrange(index)]
            rows[index] = [_again(cell, each, random) for cell, each in zip(row, plans, strict=True)]


def _again(cell: str, plan: ColumnPlan | None, random: Random) -> str:
    """Returns the same value, possibly in another spelling."""
    if plan is None:
        return cell
    if cell in MISSING:
        return random.choice(MISSING)
    if plan.style == "loose":
        return loosely(Decimal(cell), random)
    if plan.kind == "boolean":
        words = BOOLEANS[plan.style]
        return random.choice([word for word, value in words.items() if value == words[cell]])
    return cell


def _remove_targets(rows: list[list[str]], plan: Plan, random: Random) -> None:
    for row in rows:
        for index in range(len(plan.target)):
            if random.random() < plan.missing_targets:
                row[-1 - index] = random.choice(MISSING)


def _write_files(written: Written, folder: Path, random: Random) -> None:
    file, rows = written.plan.file, written.rows
    titles = [written.title(name) for name in written.names]
    if file.parts == 1:
        written.path.write_bytes(_bytes_of(titles, rows, file, random))
        return
    for part, (start, stop) in enumerate(pairwise(written.cuts)):
        own = rows[start:stop]
        (folder / f"p{part + 1}{file.suffix}").write_bytes(_bytes_of(titles, own, file, random))


def _bytes_of(titles: Sequence[str], rows: Sequence[list[str]], file: FilePlan, random: Random) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=file.delimiter, lineterminator=file.newline, quoting=QUOTING[file.quoting])
    writer.writerow(titles)
    for row in rows:
        if file.blank_rows and random.random() < 0.1:
            out.write(file.newline)
        cells = list(row)
        while file.short_rows and len(cells) > 1 and cells[-1] == "":
            cells.pop()
        if file.loose_blanks and file.quoting == "minimal":
            cells = [cell if _needs_quotes(cell, file.delimiter) else f" {cell} " for cell in cells]
        writer.writerow(cells)
    raw = out.getvalue().encode(file.encoding)
    return COMPRESS[file.suffix.removeprefix(".csv")](raw)


QUOTING: dict[str, Literal[0, 1]] = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL}


def _needs_quotes(cell: str, delimiter: str) -> bool:
    return any(sign in cell for sign in (delimiter, '"', "\n", "\r"))


def _zipped(raw: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", raw)
    return out.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": _zipped,
}
