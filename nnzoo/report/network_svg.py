"""The elements of the network drawings: the frame with its colors, texts and lines as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nnzoo.report.escape import escape

COLORS = {
    "ink": ("#1f2328", "#e6edf3"),
    "soft": ("#59636e", "#9da7b1"),
    "line": ("#8b949e", "#768390"),
    "paper": ("#ffffff", "#15191f"),
    "box": ("#f4f6f8", "#20262e"),
    "edge": ("#c9d1d9", "#3d4650"),
    "conv": ("#2f6fc4", "#6ea8ff"),
    "linear": ("#1f8a5b", "#4fc08d"),
    "recurrent": ("#8250c4", "#b392f0"),
    "embedding": ("#b8651b", "#e2a25f"),
    "pool": ("#6e7781", "#9aa4af"),
    "group": ("#0f7f8c", "#56c2cf"),
    "other": ("#6e7781", "#9aa4af"),
    "positive": ("#2166ac", "#6cb2ff"),
    "negative": ("#c2500a", "#ff9d5c"),
}
"""The color of each purpose on a light and on a dark page. Positive and negative differ for color-blind readers too."""


def frame(width: float, height: float, title: str, description: str, body: Iterable[str]) -> str:
    """Returns the `<svg>` element, which also is a complete file.

    Args:
        width: The width in pixels; the drawing shrinks on a narrow page.
        height: The height in pixels.
        title: The title for screen readers.
        description: The description for screen readers.
        body: The elements.
    """
    light = "".join(f"--nn-{name}:{color};" for name, (color, _) in COLORS.items())
    dark = "".join(f"--nn-{name}:{color};" for name, (_, color) in COLORS.items())
    style = (
        f".nn-net{{{light}width:{width:g}px;min-width:{min(width, 520):g}px;max-width:100%;height:auto;"
        "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"
        f"@media screen and (prefers-color-scheme:dark){{.nn-net{{{dark}}}}}"
        ".nn-net text{fill:var(--nn-ink);font-size:13px}.nn-net .nn-soft{fill:var(--nn-soft);font-size:12px}"
        ".nn-net .nn-strong{font-weight:600}.nn-net .nn-head{font-size:16px;font-weight:600}"
        ".nn-net .nn-outline{stroke:var(--nn-edge)!important}"
        ".nn-net .nn-sketch{fill:var(--nn-box);stroke:var(--nn-line)!important}"
        ".nn-net .nn-value{font-size:11px;paint-order:stroke;stroke:var(--nn-paper);stroke-width:4px;"
        "stroke-linejoin:round;font-variant-numeric:tabular-nums}"
    )
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nn-net" role="img" {size} '
        'aria-labelledby="nn-net-title nn-net-description">'
        f'<title id="nn-net-title">{escape(title, None)}</title>'
        f'<desc id="nn-net-description">{escape(description, None)}</desc><style>{style}</style>'
        f'<rect width="100%" height="100%" fill="var(--nn-paper)"/>{"".join(body)}</svg>'
    )


def text(x: float, y: float, value: object, *, style: str = "", anchor: str = "start", limit: int = 60) -> str:
    """Returns a text. Longer texts than `limit` are cut and shown in full by the pointer.

    Args:
        x: The position of the anchor.
        y: The base line.
        value: The text.
        style: A class of `frame`: soft, strong, head or value.
        anchor: start, middle or end.
        limit: The largest number of characters.
    """
    full = str(value)
    title = f"<title>{escape(full)}</title>" if len(full) > limit else ""
    kind = f' class="nn-{style}"' if style else ""
    anchored = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}"{kind}{anchored}>{title}{escape(full, limit)}</text>'


def rectangle(x: float, y: float, width: float, height: float, *, fill: str, style: str = "", radius: float = 0) -> str:
    """Returns a rectangle. The fill is a name of `COLORS`, the style a class of `frame`: outline or sketch."""
    border = f' class="nn-{style}"' if style else ""
    rounded = f' rx="{radius:g}"' if radius else ""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"{rounded} fill="var(--nn-{fill})"{border}/>'


def path(commands: str, *, color: str = "line", width: float = 1.5) -> str:
    """Returns a line without a fill. The color is a name of `COLORS`."""
    return f'<path d="{commands}" fill="none" stroke="var(--nn-{color})" stroke-width="{width:g}"/>'


def arrow_head(x: float, y: float, direction: str, color: str = "line") -> str:
    """Returns the head of an arrow that ends at (x, y) and points down, left or right."""
    sides = {"down": ((-4, -7), (4, -7)), "left": ((7, -4), (7, 4)), "right": ((-7, -4), (-7, 4))}[direction]
    points = " ".join(f"{x + dx:g},{y + dy:g}" for dx, dy in ((0, 0), *sides))
    return f'<polygon points="{points}" fill="var(--nn-{color})"/>'


def wrapped(words: Sequence[str], limit: int, separator: str = " ") -> list[str]:
    """Returns lines of at most `limit` characters, except for longer words."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(separator) + len(word) <= limit:
            lines[-1] += separator + word
        else:
            lines.append(word)
    return lines
