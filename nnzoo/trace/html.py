"""Renders a trace as one page that works offline."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from nnzoo.report.charts import Drawing, Formula, Formulas, Lines, Mark, Part, Section, Text
from nnzoo.report.drawing import draw_network
from nnzoo.report.page import page
from nnzoo.report.panels import panel, panels
from nnzoo.report.surfaces import level_image, path_on
from nnzoo.trace.explain import StepExplanation, Trace
from nnzoo.trace.expression import Equation, shown
from nnzoo.trace.mathml import EQUALS, MATHML
from nnzoo.trace.stage import Group
from nnzoo.trace.surface import Surface
from nnzoo.trace.text import after_step, heading, step_title

PATH_COLOR = "#d97706"


def html(trace: Trace, surface: Surface | None = None) -> str:
    """Returns the page: the network, the loss over some weights, and each step as formulas.

    Args:
        trace: The trace.
        surface: The loss over one or two weights; None to leave it out.
    """
    first, *others = heading(trace).split("\n")
    sections = [Section("network", "Network", [*map(Text, others), _network(trace)])]
    if surface is not None:
        sections.append(Section("surface", "The loss over the weights", plots(surface)))
    if len(trace.recording.losses) > 1:
        sections.append(Section("losses", "The loss", [_losses(trace)]))
    sections += [_section(trace, step) for step in trace.steps]
    return page(f"{trace.config.name}: a training step by hand", sections, lead=first)


def plot_page(trace: Trace, surface: Surface) -> str:
    """Returns a page with only the loss over the weights."""
    title = f"{trace.config.name}: the loss over the weights"
    return page(
        title, [Section("surface", "E and the path of the steps", plots(surface))], lead=heading(trace).split("\n")[0]
    )


def plots(surface: Surface) -> list[Part]:
    """Returns the loss over one weight as a chart, and over two as a map, with the path of the steps."""
    first = surface.weights[0].symbol
    count = len(surface.path) - 1
    xs, start = surface.axes[0].tolist(), float(surface.path[0, 0])
    reach = 0.2 * (xs[-1] - xs[0])
    tangent = [start - reach, start + reach]
    series = {
        "E": (xs, surface.curve.tolist()),
        f"slope {shown(surface.slope)}": (tangent, [surface.losses[0] + surface.slope * (x - start) for x in tangent]),
        f"E after {'each' if count > 1 else 'the'} step": (surface.path[:, 0].tolist(), surface.losses),
    }
    caption = (
        "E of the batch of the first step; the other weights are those before it. After a step, all weights have "
        "changed."
    )
    found: list[Part] = [
        Lines(f"E over {first}", caption, first, "E", series, marks=[Mark(start, "before the first step")])
    ]
    if surface.grid is not None:
        found.append(_map(surface))
    return found


def _map(surface: Surface) -> Drawing:
    assert surface.grid is not None
    grid = surface.grid.numpy()
    names = [weight.symbol for weight in surface.weights]
    low, high = ([float(axis[end]) for axis in surface.axes] for end in (0, -1))
    path = path_on(surface.path.numpy(), low, high, PATH_COLOR)
    drawn = panel("", level_image(grid), (low, high), (), [path], (names[0], names[1]))
    start, end = ([shown(float(value)) for value in point] for point in (surface.path[0], surface.path[-1]))
    moves = ", ".join(f"{name} from {a} to {b}" for name, a, b in zip(names, start, end, strict=True))
    caption = (
        f"Each color is a level of E, from {grid.min():.4g} (dark) to {grid.max():.4g} (light). The path starts at the "
        f"ring: {moves}."
    )
    return panels(f"E over {names[0]} and {names[1]}", [drawn], caption)


def _network(trace: Trace) -> Drawing:
    """Draws the network with its weights before the first step."""
    state, record = trace.setup.state, trace.steps[0].record
    dataset = trace.setup.experiment.dataset
    names = dataset.classes or dataset.target_names
    after = {name: parameter.detach().clone() for name, parameter in state.model.named_parameters()}
    _set(trace, record.before)
    drawing = draw_network(
        state.model,
        tuple(record.inputs.shape[1:]),
        name=trace.config.name,
        dtype=torch.float64 if record.inputs.is_floating_point() else record.inputs.dtype,
        inputs=dataset.feature_names,
        outputs=names if len(names) == record.outputs.shape[-1] else (),
    )
    _set(trace, after)
    return Drawing("Before the first step", "", drawing.svg, drawing.description)


@torch.no_grad()
def _set(trace: Trace, weights: dict[str, torch.Tensor]) -> None:
    for name, parameter in trace.setup.state.model.named_parameters():
        parameter.copy_(weights[name])


def _losses(trace: Trace) -> Lines:
    losses = [loss for loss, _ in trace.recording.losses]
    steps = list(range(1, len(losses) + 1))
    return Lines("E of each step", "The loss of the batch of each step.", "step", "E", {"E": (steps, losses)})


def _section(trace: Trace, step: StepExplanation) -> Section:
    parts: list[Part] = [_formulas(name, group) for name, groups in step.parts() for group in groups if group.equations]
    title, _, details = step_title(trace, step).partition(": ")
    return Section(f"step-{step.record.number}", title, [Text(details), *parts, Text(after_step(step))])


def _formulas(part: str, group: Group) -> Formulas:
    layer, _, rule = group.title.partition(": ")
    left_out = f"{group.note}; --layer and --unit choose what is shown." if group.note else ""
    caption = ". ".join(each for each in (rule, left_out) if each)
    return Formulas(f"{part}: {layer}", caption, [_formula(each) for each in group.equations])


def _formula(equation: Equation) -> Formula:
    sides: list[list[str]] = []
    if equation.formula is not None:
        found = [MATHML.pieces(equation.formula, numbers=numbers) for numbers in (False, True)]
        sides += found if found[0] != found[1] else found[:1]
    value = MATHML.number(equation.value)
    if not sides or sides[-1] != [value]:
        sides.append([value])
    return Formula([MATHML.symbol(equation.name), *_after_equals(sides)], equation.remark)


def _after_equals(sides: Iterable[list[str]]) -> list[str]:
    return [piece for first, *others in sides for piece in (EQUALS + first, *others)]
