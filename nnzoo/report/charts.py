"""The parts of a page: charts, tables, images and text as plain data. Modules `svg` and `page` render them."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

Numbers = Sequence[float]
Curve = tuple[Numbers, Numbers]
"""The x values and the y values of a curve. NaN is a gap."""
Cell = str | float | int | None
MAX_TABLE_ROWS = 500
"""The longest table behind a chart. Longer ones keep evenly spaced rows."""


class Link(NamedTuple):
    """A cell of a table that links to another page.

    Attributes:
        text: The text of the link.
        target: The address, already quoted for URLs.
    """

    text: str
    target: str


class Mark(NamedTuple):
    """A vertical line in a chart, such as the best epoch.

    Attributes:
        x: The position on the x axis.
        label: The text in the legend.
    """

    x: float
    label: str


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: The text.
        code: Whether it is shown as preformatted code that can be copied.
    """

    text: str
    code: bool = False


@dataclass(frozen=True)
class TableOf:
    """A table.

    Attributes:
        title: The title; may be empty.
        caption: What the table shows, in a sentence; may be empty.
        header: The names of the columns.
        rows: The rows. The first cell is the header of its row. Floats are shown with four significant digits.
        precise: Whether the page also has the exact value of each float, in the attribute `value` of a `data` element.
        limit: Texts of cells are cut at this number of characters.
        scrolls: Whether a long table has a scrollbar of its own.
    """

    title: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell | Link]]
    precise: bool = False
    limit: int = 160
    scrolls: bool = True


@dataclass(frozen=True)
class Lines:
    """Curves over a common x axis.

    Attributes:
        title: The title.
        caption: What the chart shows, in a sentence.
        x_label: The label of the x axis.
        y_label: The label of the y axis.
        series: The curves by name.
        marks: Vertical lines.
        log_x: Whether the x axis is logarithmic. Values that are not positive are left out.
        log_y: Whether the y axis is logarithmic.
        behind: Curves without names, which are drawn in grey behind the others.
    """

    title: str
    caption: str
    x_label: str
    y_label: str
    series: Mapping[str, Curve]
    marks: Sequence[Mark] = ()
    log_x: bool = False
    log_y: bool = False
    behind: Sequence[Curve] = ()

    def table(self) -> TableOf:
        """Returns the values behind the chart: one row per x value, one column per curve."""
        columns = [dict(zip(map(float, x), map(float, y), strict=True)) for x, y in self.series.values()]
        rows = [
            [x, *(column.get(x, math.nan) for column in columns)]
            for x in sorted(set().union(*columns) if columns else ())
        ]
        return _thinned([self.x_label, *self.series], rows)


@dataclass(frozen=True)
class Scatter:
    """Points in groups.

    Attributes:
        title: The title.
        caption: What the chart shows, in a sentence.
        x_label: The label of the x axis.
        y_label: The label of the y axis.
        groups: The points of each group by its name: x values and y values of the same length.
        diagonal: Whether the line y = x is drawn, with the same range on both axes.
        level: The y value of a horizontal line; None for no line.
    """

    title: str
    caption: str
    x_label: str
    y_label: str
    groups: Mapping[str, Curve]
    diagonal: bool = False
    level: float | None = None

    def table(self) -> TableOf:
        """Returns the values behind the chart: one row per point."""
        rows: list[list[Cell]] = [
            [name, float(x), float(y)] for name, (xs, ys) in self.groups.items() for x, y in zip(xs, ys, strict=True)
        ]
        return _thinned(["group", self.x_label, self.y_label], rows)


@dataclass(frozen=True)
class Bars:
    """Horizontal bars, one group of bars per label.

    Attributes:
        title: The title.
        caption: What the chart shows, in a sentence.
        labels: The label of each group.
        series: The values by name, one value per label.
        value_label: What the length of a bar is.
        errors: Half the width of an error bar for each value, by the names of `series`.
    """

    title: str
    caption: str
    labels: Sequence[str]
    series: Mapping[str, Numbers]
    value_label: str = ""
    errors: Mapping[str, Numbers] = field(default_factory=dict)

    def table(self) -> TableOf:
        """Returns the values behind the chart: one row per label."""
        columns = {**self.series, **{f"{name} (+/-)": values for name, values in self.errors.items()}}
        rows: list[list[Cell]] = [
            [label, *(float(values[i]) for values in columns.values())] for i, label in enumerate(self.labels)
        ]
        return _thinned(["", *columns], rows)


@dataclass(frozen=True)
class Heatmap:
    """A matrix of colored cells.

    Attributes:
        title: The title.
        caption: What the chart shows, in a sentence.
        values: (rows, columns) numbers; NaN is an empty cell.
        row_labels: The name of each row.
        column_labels: The name of each column.
        row_label: What the rows are.
        column_label: What the columns are.
        diverging: Whether 0 is the middle: negative values have another color.
        opens: What is shown when the cell (row, column) is chosen.
    """

    title: str
    caption: str
    values: Sequence[Numbers]
    row_labels: Sequence[str]
    column_labels: Sequence[str]
    row_label: str = ""
    column_label: str = ""
    diverging: bool = False
    opens: Mapping[tuple[int, int], Sequence[Part]] = field(default_factory=dict)

    def table(self) -> TableOf:
        """Returns the matrix; only the cells that are not 0 if it has more than 40 rows or columns."""
        if max(len(self.row_labels), len(self.column_labels)) <= 40:
            rows: list[list[Cell]] = [
                [name, *map(float, row)] for name, row in zip(self.row_labels, self.values, strict=True)
            ]
            return TableOf("", "", [f"{self.row_label} \\ {self.column_label}", *self.column_labels], rows)
        cells: list[list[Cell]] = [
            [row_name, column_name, float(value)]
            for row_name, row in zip(self.row_labels, self.values, strict=True)
            for column_name, value in zip(self.column_labels, row, strict=True)
            if value and value == value
        ]
        cells.sort(key=lambda cell: -abs(float(cell[2] or 0)))
        table = _thinned([self.row_label, self.column_label, "value"], cells[:MAX_TABLE_ROWS])
        note = f"The {MAX_TABLE_ROWS} largest values." if len(cells) > MAX_TABLE_ROWS else ""
        return TableOf("", note, table.header, table.rows)


class Picture(NamedTuple):
    """An image with its texts.

    Attributes:
        png: The bytes of a PNG file; empty for a sample that is not an image.
        alt: The text for those who don't see the image.
        label: The text below the image.
    """

    png: bytes
    alt: str
    label: str


@dataclass(frozen=True)
class Images:
    """Small images side by side. Pixels are enlarged without smoothing.

    Attributes:
        title: The title; may be empty.
        caption: What the images show, in a sentence.
        items: The images.
        size: The width of an image on the page in pixels.
    """

    title: str
    caption: str
    items: Sequence[Picture]
    size: int = 72


@dataclass(frozen=True)
class Drawing:
    """A finished drawing.

    Attributes:
        title: The title.
        caption: What the drawing shows, in a sentence.
        svg: The `<svg>` element. Its texts must be escaped with `page.escape`.
        alt: The text for those who don't see the drawing.
    """

    title: str
    caption: str
    svg: str
    alt: str


class Formula(NamedTuple):
    """A formula in MathML.

    Attributes:
        pieces: Its pieces, without the element `math`; a line may be broken between them. Texts in them are escaped.
        remark: A short explanation; may be empty.
    """

    pieces: Sequence[str]
    remark: str = ""


@dataclass(frozen=True)
class Formulas:
    """Formulas, one below the other.

    Attributes:
        title: The title.
        caption: What the formulas are, in a sentence; may be empty.
        items: The formulas.
    """

    title: str
    caption: str
    items: Sequence[Formula]


@dataclass(frozen=True)
class Program:
    """A part that JavaScript fills.

    Attributes:
        title: The title; may be empty.
        caption: What the part shows, in a sentence.
        data: The JSON that the script reads, without the characters `<`, `>` and `&`.
        script: The script. It finds the data in the element before its own.
    """

    title: str
    caption: str
    data: str
    script: str


@dataclass(frozen=True)
class Details:
    """Parts that are closed until the reader opens them.

    Attributes:
        title: The line that opens them.
        parts: The parts.
    """

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Slides:
    """Parts of which a slider shows one at a time. Without JavaScript, and in print, all are shown.

    Attributes:
        title: The title.
        slides: The parts by the name of the slide. The last one is shown first.
    """

    title: str
    slides: Mapping[str, Sequence[Part]]


Part = Text | TableOf | Lines | Scatter | Bars | Heatmap | Images | Drawing | Formulas | Program | Details | Slides


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Attributes:
        id: The name in links: letters, digits and hyphens.
        title: The heading.
        parts: The content, in order.
    """

    id: str
    title: str
    parts: Sequence[Part]


def png_of(pixels: NDArray[Any]) -> bytes:
    """Returns the PNG file of an image: (H, W), (H, W, 3) or (H, W, 4) uint8."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _thinned(header: Iterable[str], rows: Sequence[Sequence[Cell]]) -> TableOf:
    """Returns a table with at most `MAX_TABLE_ROWS` evenly spaced rows, among them the first and the last one."""
    count = len(rows)
    if count <= MAX_TABLE_ROWS:
        return TableOf("", "", list(header), rows)
    kept = [round(i * (count - 1) / (MAX_TABLE_ROWS - 1)) for i in range(MAX_TABLE_ROWS)]
    return TableOf("", f"{MAX_TABLE_ROWS} of {count} rows, evenly spaced.", list(header), [rows[i] for i in kept])
