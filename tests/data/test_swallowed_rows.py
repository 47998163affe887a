"""Rows that an unpaired quote swallows are reported, and lines of a text are not mistaken for rows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from nnzoo.data import Dataset, Division, load_csv, load_text
from nnzoo.errors import DataError

WHOLE = Division(val=0, test=0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows_with(changed: dict[int, str], *, delimiter: str = ",", num_rows: int = 120) -> str:
    """Writes a file whose rows are lines 2, 3, ..., with some lines replaced."""
    rows = [f"{row % 9} inch,{row % 7},{'uv'[row % 2]}" for row in range(num_rows)]
    lines = ["size,n,y", *(changed.get(row + 2, text) for row, text in enumerate(rows))]
    return "\n".join(lines).replace(",", delimiter) + "\n"


def load(text: str, **fields: Any) -> Dataset:
    Path("d.csv").write_text(text)
    return load_csv(path="d.csv", target=["y"], division=WHOLE, **fields)


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        ({20: '"0 inch,0,u', 60: '"0 inch,0,u'}, "40 rows"),
        ({20: '"0 inch,0,u', 21: '"0 inch,0,u'}, "1 row"),
        ({20: '"0 inch,0,u', 60: '0 inch",0,u'}, "40 rows"),  # the quotes close as they should
        ({20: '1 inch,"0,u', 60: '1 inch,"0,u'}, "40 rows"),
        ({20: '1 inch,0,"u', 60: '1 inch,0,u"'}, "40 rows"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_rows_inside_a_quoted_cell_are_counted(changed: dict[int, str], count: str, delimiter: str) -> None:
    (warning,) = load(rows_with(changed, delimiter=delimiter), types={"n": "category", "size": "category"}).warnings
    assert warning.startswith(f"{count} inside a quoted cell ")
    assert "d.csv: line 20)" in warning


def test_unpaired_quotes_between_tabs_are_literal() -> None:
    dataset = load(rows_with({20: '"0 inch,0,u', 60: '"0 inch,0,u'}, delimiter="\t"), types={"size": "category"})
    assert len(dataset.train) == 120
    assert dataset.warnings == ()


def test_rows_inside_a_column_that_is_not_read_are_counted_too() -> None:
    (warning,) = load(rows_with({20: '"0 inch,0,u', 60: '"0 inch,0,u'}), ignore=("size",)).warnings
    assert warning.startswith("40 rows inside a quoted cell ")


def test_swallowed_rows_are_an_error_if_strict() -> None:
    with pytest.raises(DataError, match=r"40 rows inside a quoted cell .*`strict`"):
        load(rows_with({20: '"0 inch,0,u', 60: '"0 inch,0,u'}), strict=True)


PROSE = [
    "hello",
    "thanks",
    "dear",
    "all,",
    "we,",
    "find,",
    "it",
    "good.",
    "bad",
    "ok,",
    "yes",
    "no,",
    "maybe",
    "1",
    "2,",
    "3",
]


@pytest.mark.parametrize(
    "row", ['{n},"{text}",{y}', '"{text}",{n},{y}', '{n},{y},"{text}"', '{n},2020-01-{n},"{text}",{y}']
)
@pytest.mark.parametrize("most", [2, 5])
def test_lines_of_a_text_are_not_rows(row: str, most: int) -> None:
    draw = random.Random(most)
    header = row.replace('"', "").replace("2020-01-{n}", "day").replace("{", "").replace("}", "")
    texts = ["\n".join(" ".join(draw.choices(PROSE, k=8)) for _ in range(draw.randint(1, most))) for _ in range(300)]
    rows = [row.format(text=text, n=10 + index % 19, y="uv"[index % 2]) for index, text in enumerate(texts)]
    dataset = load("\n".join([header, *rows]) + "\n", ignore=("text",))
    assert len(dataset.train) == 300
    assert dataset.warnings == ()


def test_classified_texts_may_have_several_lines() -> None:
    draw = random.Random(0)
    texts = ["\n".join(" ".join(draw.choices(PROSE, k=8)) for _ in range(3)) for _ in range(300)]
    Path("t.csv").write_text("text,y\n" + "".join(f'"{text}",{"uv"[i % 2]}\n' for i, text in enumerate(texts)))
    dataset = load_text(path="t.csv", target="y", division=WHOLE)
    assert len(dataset.train) == 300
    assert dataset.warnings == ()


def test_rows_inside_a_text_are_counted_although_its_quotes_close() -> None:
    rows = [f"word{index} and more,{'uv'[index % 2]}" for index in range(100)]
    rows[10], rows[30] = '"word10 and more,u', 'word30 and more",u'
    Path("t.csv").write_text("\n".join(["text,y", *rows]) + "\n")
    (warning,) = load_text(path="t.csv", target="y", division=WHOLE).warnings
    assert warning.startswith("20 rows inside a quoted cell were read as text of that cell (first: t.csv: line 12")
