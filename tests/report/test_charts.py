"""The charts of pages: the data behind them, their drawing, and the escaping of text."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from nnzoo.report.charts import (
    Bars,
    Details,
    Drawing,
    Heatmap,
    Images,
    Lines,
    Mark,
    Part,
    Picture,
    Scatter,
    Section,
    TableOf,
    Text,
    png_of,
)
from nnzoo.report.escape import escape
from nnzoo.report.page import page
from nnzoo.report.svg import Axis

pytestmark = pytest.mark.page

HOSTILE = [
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "x" * 10_000,
    "\u202eעברית",
    "a\0b",
]


def parts_with(name: str) -> list[Part]:
    """Returns a part of each kind with a text in every place."""
    png = png_of(np.zeros((2, 2), dtype=np.uint8))
    return [
        Text(name),
        Text(name, code=True),
        TableOf(name, name, [name, name], [[name, name]]),
        Lines(name, name, name, name, {name: ([1, 2], [3.0, 4.0])}, [Mark(1, name)]),
        Scatter(name, name, name, name, {name: ([1, 2], [3.0, 4.0]), f"{name}2": ([1], [1])}, diagonal=True),
        Bars(name, name, [name], {name: [1.0], f"{name}2": [0.5]}, name, {name: [0.1]}),
        Heatmap(name, name, [[1.0]], [name], [name], name, name, opens={(0, 0): [Text(name)]}),
        Heatmap(
            name, name, np.ones((50, 50)).tolist(), [name] * 50, [name] * 50, name, name, opens={(0, 0): [Text(name)]}
        ),
        Images(name, name, [Picture(png, name, name), Picture(b"", name, name)]),
        Drawing(name, name, "<svg></svg>", name),
        Details(name, [Text(name)]),
    ]


class Structure(HTMLParser):
    """Collects the elements of a page with the names of their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Adds an element."""
        self.elements.append((tag, *sorted(name for name, _ in attrs if name not in ("transform", "class"))))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_stay_text(name: str) -> None:
    html = page(name, [Section("s", name, parts_with(name))], lead=name)
    assert Structure(html).elements == Structure(page("n", [Section("s", "n", parts_with("n"))], lead="n")).elements
    assert "\u202e" not in html
    assert "\0" not in html
    assert len(html) < 300_000


def test_pages_request_nothing() -> None:
    html = page("t", [Section("s", "t", parts_with("name"))])
    assert "default-src 'none'" in html
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)""", html)
    assert {address[:1] if address.startswith("#") else address[:5] for address in addresses} == {"#", "data:"}


def test_each_chart_has_its_values_in_a_table() -> None:
    chart = Lines("t", "c", "epoch", "loss", {"train": ([1, 2], [0.5, 0.25]), "val": ([2, 3], [0.75, math.nan])})
    assert chart.table().header == ["epoch", "train", "val"]
    rows = [[None if value != value else value for value in row] for row in chart.table().rows]
    assert rows == [[1, 0.5, None], [2, 0.25, 0.75], [3, None, None]]
    html = page("t", [Section("s", "t", [chart])])
    assert '<tr><th scope="row">2</th><td class="n">0.25</td><td class="n">0.75</td></tr>' in html


def test_long_curves_stay_small() -> None:
    epochs = list(range(100_000))
    html = page(
        "t", [Section("s", "t", [Lines("t", "c", "step", "loss", {"loss": (epochs, [1 / (1 + e) for e in epochs])})])]
    )
    assert len(html) < 120_000
    assert '<th scope="row">0</th>' in html
    assert '<th scope="row">99999</th>' in html
    assert "500 of 100000 rows" in html


def test_a_curve_is_drawn_at_its_values() -> None:
    html = page("t", [Section("s", "t", [Lines("t", "c", "x", "y", {"a": ([0, 5, 10], [0.0, 1.0, 2.0])})])])
    path = re.search(r'class="line s0" d="([^"]*)"', html)
    assert path is not None
    # The y axis has a margin of 4 % of its range on both sides.
    assert path[1] == "M0.0 963.0L500.0 500.0L1000.0 37.0"


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0, 10, False, ["0", "2", "4", "6", "8", "10"]),
        (1e-4, 1, True, ["0.0001", "0.001", "0.01", "0.1", "1"]),
        (0.01, 1, True, ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]),
        (3, 3, False, None),
        (math.nan, math.inf, False, None),
    ],
)
def test_ticks(low: float, high: float, log: bool, expected: list[str] | None) -> None:
    ticks = Axis([low, high], log=log).ticks(5)
    labels = [label for _, label in ticks]
    assert len(labels) >= 2
    assert all(-1e-6 <= position <= 1000 + 1e-6 for position, _ in ticks)
    if expected is not None:
        assert [float(label) for label in labels] == [float(label) for label in expected]


def test_empty_and_single_values_are_drawn() -> None:
    charts: list[Part] = [
        Lines("t", "c", "x", "y", {}),
        Lines("t", "c", "x", "y", {"a": ([1], [math.nan])}, log_x=True, log_y=True),
        Scatter("t", "c", "x", "y", {"a": ([], [])}),
        Bars("t", "c", [], {}),
        Heatmap("t", "c", [[math.nan]], ["a"], ["b"]),
        TableOf("t", "c", ["a"], []),
        Images("t", "c", []),
    ]
    html = page("t", [Section("s", "t", charts)])
    assert "nan" not in html.split("<main", 1)[1].split("<script", 1)[0].lower()


def test_escape_cuts_and_replaces() -> None:
    assert escape("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#x27;"
    assert escape("x" * 200, 5) == "xxxx…"
    assert escape("a\u202eb\x07") == "a\ufffdb\ufffd"
    assert escape("ä\n日本") == "ä\n日本"
