"""Square maps side by side as one drawing. They wrap on a narrow page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nnzoo.report.charts import Drawing
from nnzoo.report.escape import escape
from nnzoo.report.network_svg import COLORS

SIZE, LEFT, TOP = 240, 52, 26
WIDTH, HEIGHT = LEFT + SIZE + 8, TOP + SIZE + 26


def panel(
    title: str,
    image: str,
    ends: tuple[Sequence[float], Sequence[float]],
    dots: Iterable[tuple[float, float, str, bool]] = (),
    extra: Sequence[str] = (),
    labels: tuple[str, str] = ("", ""),
) -> str:
    """Returns one map as SVG.

    Args:
        title: The text above it.
        image: The address of the image, rows from the top; empty for none.
        ends: The smallest and the largest value of both axes.
        dots: Points: x and y from 0 to 1, the color, and whether it has a ring, which marks a wrong prediction.
        extra: Further elements, in the coordinates of `at`, clipped at the edge of the map.
        labels: The names of the two axes.
    """
    low, high = ends
    frame = f'x="{LEFT}" y="{TOP}" width="{SIZE}" height="{SIZE}"'
    body = [f'<text x="{LEFT}" y="17" font-weight="600">{escape(title, 40)}</text>']
    if image:
        body.append(f'<image {frame} preserveAspectRatio="none" href="{image}"/>')
    body.append(f'<rect {frame} class="nn-edge"/>')
    body += _dots(dots)
    if extra:
        body.append(f'<svg {frame} viewBox="{LEFT} {TOP} {SIZE} {SIZE}">{"".join(extra)}</svg>')
    for share, anchor in ((0.0, "start"), (1.0, "end")):
        x, y = (low[axis] + share * (high[axis] - low[axis]) for axis in (0, 1))
        body.append(f'<text x="{LEFT + share * SIZE}" y="{TOP + SIZE + 16}" text-anchor="{anchor}">{x:.3g}</text>')
        body.append(
            f'<text x="{LEFT - 5}" y="{TOP + (1 - share) * SIZE + 10 * share}" text-anchor="end">{y:.3g}</text>'
        )
    x, y = LEFT + SIZE / 2, TOP + SIZE / 2
    body.append(f'<text x="{x}" y="{TOP + SIZE + 18}" text-anchor="middle">{escape(labels[0], 24)}</text>')
    turned = f'transform="translate({LEFT - 10} {y}) rotate(-90)"'
    body.append(f'<text {turned} text-anchor="middle">{escape(labels[1], 24)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nn-panel" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(body)}</svg>'
    )


def _dots(dots: Iterable[tuple[float, float, str, bool]]) -> list[str]:
    """Returns the points in groups of one look, which takes less space; those with a ring are on top."""
    groups: dict[tuple[bool, str], list[str]] = {}
    for x, y, color, ringed in dots:
        cx, cy = at(x, y)
        circle = f'<circle cx="{cx:.0f}" cy="{cy:.0f}" r="{4.2 if ringed else 3.2}"/>'
        groups.setdefault((ringed, color), []).append(circle)
    edges = {True: 'stroke="#000" stroke-width="1.6"', False: 'stroke="#fff" stroke-width=".7"'}
    return [
        f'<g fill="{color}" {edges[ringed]}>{"".join(circles)}</g>'
        for (ringed, color), circles in sorted(groups.items())
    ]


def at(x: float, y: float) -> tuple[float, float]:
    """Returns the position in a panel of coordinates from 0 to 1."""
    return LEFT + x * SIZE, TOP + (1 - y) * SIZE


def panels(title: str, drawn: Sequence[str], caption: str = "") -> Drawing:
    """Returns maps side by side."""
    ink, dark = COLORS["ink"]
    style = (
        f"<style>.nn-panels{{display:flex;flex-wrap:wrap;gap:8px 20px}}.nn-panel{{width:{WIDTH}px;max-width:100%}}"
        f".nn-panel text{{font:13px system-ui,sans-serif;fill:{ink}}}"
        ".nn-panel .nn-edge{fill:none;stroke:#888!important}"
        f"@media screen and (prefers-color-scheme:dark){{.nn-panel text{{fill:{dark}}}}}</style>"
    )
    return Drawing(title, caption, f'{style}<div class="nn-panels">{"".join(drawn)}</div>', title)
