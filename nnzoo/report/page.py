"""Renders sections as one self-contained HTML page. Nothing is loaded from a network, and all text is escaped."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from nnzoo.numbers import number
from nnzoo.report import svg
from nnzoo.report.charts import (
    Bars,
    Cell,
    Details,
    Drawing,
    Formula,
    Formulas,
    Heatmap,
    Images,
    Lines,
    Link,
    Part,
    Picture,
    Program,
    Scatter,
    Section,
    Slides,
    TableOf,
    Text,
)
from nnzoo.report.escape import MAX_LENGTH, escape
from nnzoo.report.guard import note_failure

HINT = "Point to read a value, drag to zoom (keys: arrows, +, -, Esc)."
MAX_LINKS = 60
LONG_TABLE = 15
LONG_WORD = 24
"""Longer words in tables are broken."""
TALL_BARS = 24
CODE_LENGTH = 4000


def page(
    title: str, sections: Sequence[Section], *, lead: str = "", pages: Sequence[Link] = (), language: str = "en"
) -> str:
    """Returns an HTML page.

    Args:
        title: The title of the page.
        sections: The sections, in order.
        lead: A line below the title.
        pages: Links to other pages, above the title.
        language: The language of the texts, as in the attribute `lang`.
    """
    others = "".join(f"<li>{_cell_text(link)}</li>" for link in pages)
    around = f'<nav aria-label="Pages"><ul>{others}</ul></nav>' if pages else ""
    links = "".join(f'<li><a href="#{escape(s.id)}">{escape(s.title)}</a></li>' for s in sections)
    body = "".join(_section(section) for section in sections)
    # The policy forbids every request, so that the page can't load anything even if a text were not escaped.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{_file("style.css")}</style></head>'
        f'<body><a class="skip" href="#main">Skip to content</a><header>{around}<h1><bdi>{escape(title)}</bdi></h1>'
        f'<p>{escape(lead, 400)}</p><nav aria-label="Sections"><ul>{links}</ul></nav></header>'
        f'<main id="main">{body}</main><script>{_file("script.js")}</script></body></html>\n'
    )


@cache
def _file(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _section(section: Section) -> str:
    name = escape(section.id)
    try:
        parts = "".join(render(part, f"{section.id}-{i}") for i, part in enumerate(section.parts))
    except Exception as error:
        parts = render(Text(note_failure(section.id, error)), name)
    return (
        f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{escape(section.title)}</h2>'
        f'<div class="parts">{parts}</div></section>'
    )


def render(part: Part, name: str) -> str:
    """Returns the HTML of a part.

    Args:
        part: The part.
        name: A name that no other part of the page has, for links.
    """
    match part:
        case Text():
            if part.code:
                return f'<pre class="wide">{escape(part.text, CODE_LENGTH)}</pre>'
            return f'<p class="wide"><bdi>{escape(part.text, 1000)}</bdi></p>'
        case TableOf():
            return f'<div class="wide">{_heading(part.title, part.caption)}{table(part)}</div>'
        case Images():
            return f'<div class="wide">{_heading(part.title, part.caption)}{_images(part)}</div>'
        case Details():
            inner = "".join(render(each, f"{name}-{i}") for i, each in enumerate(part.parts))
            return (
                f'<details class="wide"><summary>{escape(part.title)}</summary>'
                f'<div class="parts">{inner}</div></details>'
            )
        case Drawing():
            drawn = f'<div class="scroll" role="img" aria-label="{escape(part.alt, 600)}">{part.svg}</div>'
            return f'<figure class="wide">{_heading(part.title, part.caption)}{drawn}</figure>'
        case Formulas():
            items = "".join(map(_formula, part.items))
            return f'<div class="wide">{_heading(part.title, part.caption)}<ul class="formulas">{items}</ul></div>'
        case Program():
            data = f'<script type="application/json">{part.data}</script><noscript>This needs JavaScript.</noscript>'
            heading = _heading(part.title, part.caption)
            return f'<div class="wide live">{heading}{data}</div><script>{part.script}</script>'
        case Slides():
            return _slides(part, name)
        case Heatmap():
            return _heatmap(part, name)
        case Lines() | Scatter() | Bars():
            return _chart(part)


def _slides(part: Slides, name: str) -> str:
    last = len(part.slides) - 1
    slides = "".join(
        f'<div class="slide parts" role="group" aria-label="{escape(label)}">'
        f"{''.join(render(each, f'{name}-{i}-{j}') for j, each in enumerate(parts))}</div>"
        for i, (label, parts) in enumerate(part.slides.items())
    )
    # The script shows the slider.
    slider = (
        f'<label class="slider" hidden><span>Move the slider</span><input type="range" min="0" max="{last}" '
        f'value="{last}"><output></output></label>'
    )
    return f'<div class="wide slides">{_heading(part.title, "")}{slider}{slides}</div>'


def _chart(part: Lines | Scatter | Bars) -> str:
    if isinstance(part, Bars):
        tall = ' class="tall" tabindex="0"' if len(part.labels) * len(part.series) > TALL_BARS else ""
        names, drawn, read = list(part.series), f"<div{tall}>{svg.bars(part)}</div>", ""
        legend = _legend(names if len(names) > 1 else [], ())
    elif isinstance(part, Lines):
        drawn = svg.lines(part)
        legend = _legend(list(part.series), [mark.label for mark in part.marks])
        read = f'<output class="read" aria-live="polite">{HINT}</output>'
    else:
        drawn, read = svg.scatter(part), f'<output class="read" aria-live="polite">{HINT}</output>'
        legend = _legend(list(part.groups) if len(part.groups) > 1 else [], (), points=True)
    return f"<figure>{_heading(part.title, part.caption)}{drawn}{legend}{read}{_behind(part.table())}</figure>"


def _heatmap(part: Heatmap, name: str) -> str:
    links = {place: f"{name}-{place[0]}-{place[1]}" for place in part.opens}
    opened = []
    for place, parts in part.opens.items():
        inner = "".join(render(each, f"{links[place]}-{i}") for i, each in enumerate(parts))
        opened.append(f'<div class="opened" id="{links[place]}" tabindex="-1">{inner}</div>')
    listed = ""
    if links and max(len(part.row_labels), len(part.column_labels)) > svg.MAX_CELLS:
        items = "".join(
            f'<li><a href="#{links[i, j]}"><bdi>{escape(part.row_labels[i], 40)}</bdi>, '
            f"<bdi>{escape(part.column_labels[j], 40)}</bdi>: {_cell_text(part.values[i][j])}</a></li>"
            for i, j in list(links)[:MAX_LINKS]
        )
        listed = f'<ul class="legend">{items}</ul>'
    drawn = svg.heatmap(part, links)
    return (
        f"<figure>{_heading(part.title, part.caption)}{drawn}{listed}{''.join(opened)}{_behind(part.table())}</figure>"
    )


def _heading(title: str, caption: str) -> str:
    heading = f"<h3><bdi>{escape(title)}</bdi></h3>" if title else ""
    return heading + (f'<p class="caption"><bdi>{escape(caption, 600)}</bdi></p>' if caption else "")


def _legend(names: Sequence[str], marks: Sequence[str], *, points: bool = False) -> str:
    if not names and not marks:
        return ""
    keys = [
        (name, f"line s{i % svg.NUM_COLORS}{' dashed' if name == 'val' or name.startswith('val/') else ''}")
        for i, name in enumerate(names)
    ]
    keys += [(label, f"mark m{i % 3}") for i, label in enumerate(marks)]
    if points:
        keys = [(name, svg.dot_style(i)) for i, name in enumerate(names)]
    shape = "M13 5h0" if points else "M1 5H25"
    items = "".join(
        f'<li><svg viewBox="0 0 26 10" aria-hidden="true"><path class="{style}" d="{shape}"/></svg>'
        f"<bdi>{escape(name, 60)}</bdi></li>"
        for name, style in keys
    )
    return f'<ul class="legend">{items}</ul>'


def _behind(values: TableOf) -> str:
    note = f'<p class="caption">{escape(values.caption)}</p>' if values.caption else ""
    return f'<details class="data"><summary>Values as a table</summary>{note}{table(values)}</details>'


def table(part: TableOf) -> str:
    """Returns the HTML of a table without its title."""
    numeric = [
        bool(part.rows) and all(not isinstance(row[i], str | Link) for row in part.rows)
        for i in range(len(part.header))
    ]
    head = "".join(
        f'<th scope="col"{_number_class(is_number)}><bdi>{escape(name, 60)}</bdi></th>'
        for name, is_number in zip(part.header, numeric, strict=True)
    )
    rows = []
    for row in part.rows:
        first, *rest = row
        cells = "".join(
            f"<td{_number_class(is_number)}>{_cell_text(cell, part)}</td>"
            for cell, is_number in zip(rest, numeric[1:], strict=True)
        )
        rows.append(f'<tr><th scope="row">{_cell_text(first, part)}</th>{cells}</tr>')
    long = " long" if part.scrolls and len(part.rows) > LONG_TABLE else ""
    label = escape(part.title or "Table")
    return (
        f'<div class="scroll{long}" tabindex="0" role="group" aria-label="{label}"><table><thead>'
        f"<tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _number_class(is_number: bool) -> str:
    return ' class="n"' if is_number else ""


def _cell_text(cell: Cell | Link, part: TableOf | None = None) -> str:
    if isinstance(cell, Link):
        return f'<a href="{escape(cell.target, None)}"><bdi>{escape(cell.text)}</bdi></a>'
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, str):
        style = ' class="w"' if max(map(len, cell.split()), default=0) > LONG_WORD else ""
        return f"<bdi{style}>{escape(cell, part.limit if part else MAX_LENGTH)}</bdi>"
    if part is not None and part.precise and isinstance(cell, float):
        return f'<data value="{cell!r}">{number(cell)}</data>'
    if isinstance(cell, int):
        return str(cell)
    if cell.is_integer() and abs(cell) < 1e15:
        return f"{cell:.0f}"
    return f"{cell:.6g}" if 1e4 <= abs(cell) < 1e6 else f"{cell:.4g}"


def _images(part: Images) -> str:
    return f'<ul class="images">{"".join(_picture(item, part.size) for item in part.items)}</ul>'


def _formula(item: Formula) -> str:
    pieces = " ".join(f"<math>{piece}</math>" for piece in item.pieces)
    return f"<li>{pieces}{f' <span><bdi>{escape(item.remark)}</bdi></span>' if item.remark else ''}</li>"


def _picture(item: Picture, size: int) -> str:
    label = f"<span><bdi>{escape(item.label, 400)}</bdi></span>"
    if not item.png:
        return f'<li class="text"><bdi>{escape(item.alt, 600)}</bdi>{label}</li>'
    width = int.from_bytes(item.png[16:20], "big")
    small = ' class="small"' if width < size * 2 else ""
    data = base64.b64encode(item.png).decode()
    return (
        f'<li style="width:{size}px"><img{small} width="{size}" alt="{escape(item.alt)}" '
        f'src="data:image/png;base64,{data}">{label}</li>'
    )
