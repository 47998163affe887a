"""The drawing of a network block by block, from the inputs at the top to the outputs at the bottom."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnzoo.report.network_blocks import Block, counted
from nnzoo.report.network_svg import arrow_head, frame, path, rectangle, text, wrapped

_WIDTH, _LEFT, _BOX = 680, 130, 410
_RIGHT, _MIDDLE = _LEFT + _BOX, _LEFT + _BOX / 2
_GAP = 28.0
_HEADER, _FORK = 66.0, 17.0


def draw_blocks(
    blocks: Sequence[Block],
    name: str,
    input_shape: tuple[int, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    description: str,
) -> str:
    """Returns the drawing as SVG.

    Args:
        blocks: The blocks in the order of their calls.
        name: The name of the network.
        input_shape: The shape of one sample.
        inputs: The names of the inputs; may be empty.
        outputs: The names of the output units; may be empty.
        description: The description for screen readers.
    """
    total = sum(block.num_parameters for block in blocks)
    body = [text(20, 28, name, style="head"), text(20, 47, counted(total, "parameter"), style="soft")]
    own = [block for block in blocks if block.kind == "own"]
    y, summed = _HEADER, False
    y = _end(body, y, "Input", inputs, input_shape)
    for block in blocks:
        if block.kind != "own":
            y = _arrow(body, y, summed, block.num_shortcuts > 0)
            y = _block(body, block, y)
            summed = block.num_shortcuts > 0
    if outputs:
        y = _arrow(body, y, summed, False)
        y = _end(body, y, f"{len(outputs)} outputs" if len(outputs) > 1 else "Output", outputs, ())
    for block in own:
        y += 22
        body.append(text(_LEFT, y, f"{block.title}: {block.num_parameters:,}", style="soft"))
    return frame(_WIDTH, y + 24, f"The network {name}, block by block", description, body)


def _end(body: list[str], y: float, title: str, names: Sequence[str], shape: tuple[int, ...]) -> float:
    """Draws the box of the inputs or outputs and returns its lower edge."""
    lines = _listed(names)
    height = max(34.0 + 16 * len(lines), 52.0 if shape else 0.0)
    body.append(
        rectangle(_LEFT, y, _BOX, height, fill="paper", style="outline", radius=height / 2 if not lines else 16)
    )
    body.append(text(_MIDDLE, y + (22 if lines else height / 2 + 5), title, style="strong", anchor="middle"))
    body += [text(_MIDDLE, y + 40 + 16 * i, line, style="soft", anchor="middle") for i, line in enumerate(lines)]
    body.append(_shape(shape, y + height / 2))
    return y + height


def _listed(names: Sequence[str]) -> list[str]:
    """Returns names in up to three lines; the last one says how many are left out."""
    cut = [name if len(name) <= 24 else f"{name[:23]}…" for name in names[:40]]
    for count in range(len(cut), 0, -1):
        left_out = len(names) - count
        shown = [f"{name}," for name in cut[: count - 1]] + [cut[count - 1]]
        shown += [f"and {left_out:,} more"] if left_out else []
        lines = wrapped(shown, 60)
        if len(lines) <= 3:
            return lines
    return []


def _block(body: list[str], block: Block, y: float) -> float:
    """Draws a block and returns its lower edge."""
    lines = wrapped(list(block.details), 58, ", ")
    height = max(32.0 + 17 * len(lines) + 30 * len(block.parts) + (8 if block.parts or lines else 6), 58.0)
    if block.repeat > 1:
        body += [rectangle(_LEFT + d, y + d, _BOX, height, fill="box", style="outline", radius=8) for d in (8, 4)]
    body.append(rectangle(_LEFT, y, _BOX, height, fill="box", style="outline", radius=8))
    body.append(rectangle(_LEFT, y + 8, 5, height - 16, fill=block.kind, radius=2))
    title = f"{block.repeat} × {block.title}" if block.repeat > 1 else block.title
    top = y + 24 if lines or block.parts else y + height / 2 + 5
    body.append(text(_LEFT + 18, top, title, style="strong", limit=38))
    if block.num_parameters:
        body.append(text(_RIGHT - 14, top, counted(block.num_parameters, "parameter"), style="soft", anchor="end"))
    body += [text(_LEFT + 18, y + 43 + 17 * i, line, style="soft") for i, line in enumerate(lines)]
    for number, part in enumerate(block.parts):
        place = y + 34 + 17 * len(lines) + 30 * number
        body.append(rectangle(_LEFT + 18, place, _BOX - 36, 26, fill="paper", style="outline", radius=5))
        body.append(text(_LEFT + 28, place + 17, ", ".join([part.title, *part.details]), style="soft", limit=56))
    body.append(_shape(block.shape, y + height / 2))
    if block.num_shortcuts:
        body.append(_shortcut(y, height, block.repeat, block.num_shortcuts))
    if block.loop:
        body.append(_loop(y, height, block.loop))
    return y + height + (8 if block.repeat > 1 else 0)


def _arrow(body: list[str], y: float, summed: bool, fork: bool) -> float:
    """Draws the arrow between two boxes, with a dot where a shortcut begins, and returns where it ends."""
    end = y + _GAP + (18 if summed and fork else 6 if summed else 0)
    body.append(path(f"M{_MIDDLE:g} {y:g}V{end - 5:g}") + arrow_head(_MIDDLE, end, "down"))
    if fork:
        body.append(f'<circle cx="{_MIDDLE:g}" cy="{end - _FORK:g}" r="3" fill="var(--nn-group)"/>')
    return end


def _shortcut(y: float, height: float, repeat: int, count: int) -> str:
    """Returns the line around a block on which its input reaches the sum below it."""
    x, start, end = _RIGHT + 34, y - _FORK, y + height + (8 if repeat > 1 else 0) + 12
    line = path(
        f"M{_MIDDLE:g} {start:g}H{x - 12:g}Q{x:g} {start:g} {x:g} {start + 12:g}V{end - 12:g}"
        f"Q{x:g} {end:g} {x - 12:g} {end:g}H{_MIDDLE + 9:g}",
        color="group",
    )
    plus = (
        f'<circle cx="{_MIDDLE:g}" cy="{end:g}" r="8" fill="var(--nn-paper)" stroke="var(--nn-group)" '
        'stroke-width="1.5"/>' + path(f"M{_MIDDLE - 4:g} {end:g}h8M{_MIDDLE:g} {end - 4:g}v8", color="group")
    )
    lines = (
        ["shortcut,", f"in {'each' if count == repeat else count} of", f"the {repeat} blocks"]
        if repeat > 1
        else ["shortcut"]
    )
    return line + plus + _beside(x + 8, y + height / 2, lines)


def _loop(y: float, height: float, label: str) -> str:
    """Returns the arrow from a block to itself."""
    top, bottom, x = y + height / 2 - 14, y + height / 2 + 14, _RIGHT + 34
    line = path(
        f"M{_RIGHT:g} {bottom:g}H{x - 8:g}Q{x:g} {bottom:g} {x:g} {bottom - 8:g}V{top + 8:g}"
        f"Q{x:g} {top:g} {x - 8:g} {top:g}H{_RIGHT + 6:g}",
        color="recurrent",
    )
    lines = wrapped(label.split(), 15)
    return line + arrow_head(_RIGHT, top, "left", "recurrent") + _beside(x + 8, y + height / 2, lines)


def _beside(x: float, middle: float, lines: Sequence[str]) -> str:
    first = middle + 4 - 7.5 * (len(lines) - 1)
    return "".join(text(x, first + 15 * i, line, style="soft") for i, line in enumerate(lines))


def _shape(shape: tuple[int, ...], middle: float) -> str:
    """Returns a sketch of a tensor beside its block, with its shape below.

    (C, H, W) is a stack of maps, (T, F) and (C, T) a grid, (F,) a column. Sizes are on a logarithmic scale.
    """
    if not shape:
        return ""
    x = _LEFT - 66
    label = text(x, middle + 26, " × ".join(map(str, shape)), style="soft", anchor="middle", limit=18)

    def side(size: int, largest: float) -> float:
        return 5 + (largest - 5) * min(1.0, math.log2(size + 1) / 11)

    center = middle - 9
    if len(shape) >= 3 and max(shape[-2:]) > 1:
        height, width = side(shape[-2], 40), side(shape[-1], 40)
        layers = max(1, min(6, round(math.log2(shape[0] + 1) / 1.6)))
        shift = 3.0
        left, top = x - (width + shift * (layers - 1)) / 2, center - (height - shift * (layers - 1)) / 2
        rectangles = [
            rectangle(left + shift * i, top - shift * i, width, height, fill="box", style="sketch")
            for i in reversed(range(layers))
        ]
        return "".join(rectangles) + label
    if len(shape) == 2:
        height, width = side(shape[1], 34), side(shape[0], 80)
        rows = rectangle(x - width / 2, center - height / 2, width, height, fill="box", style="sketch")
        steps = min(12, shape[0])
        ticks = "".join(
            f"M{x - width / 2 + width * i / steps:g} {center - height / 2:g}v{height:g}" for i in range(1, steps)
        )
        return rows + (path(ticks, width=0.8) if ticks else "") + label
    length = side(shape[0], 70)
    return rectangle(x - length / 2, center - 3.5, length, 7, fill="box", style="sketch", radius=2) + label
