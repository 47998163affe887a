"""Renders a trace as text."""

from __future__ import annotations

from nnzoo.trace.explain import StepExplanation, Trace
from nnzoo.trace.expression import shown
from nnzoo.trace.notation import TEXT
from nnzoo.trace.stage import Group


def text(trace: Trace) -> str:
    """Returns the trace as lines of text."""
    parts = [heading(trace)]
    parts += [_step(trace, step) for step in trace.steps]
    if len(trace.recording.losses) > 1:
        parts.append(_losses(trace))
    return "\n\n".join(parts)


def heading(trace: Trace) -> str:
    """Returns the lines about the network and the precision."""
    config, model = trace.config, trace.setup.state.model
    total = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    counted = f"{total} parameters" + ("" if trained == total else f", {trained} of them trained")
    lines = [
        f"{config.name}: {config.model.name} with {counted}, loss {config.loss.name}, "
        f"optimizer {config.optimizer.name}",
        "The numbers are those of the training loop, computed in float64 and shown with nine digits.",
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in trace.notes)])


def step_title(trace: Trace, step: StepExplanation) -> str:
    """Returns the heading of a step."""
    record, total = step.record, len(trace.recording.losses)
    return f"Step {record.number} of {total}: epoch {record.epoch}, lr {shown(record.lr)}, {samples_of(step)}"


def samples_of(step: StepExplanation) -> str:
    """Returns which samples the batch of a step has."""
    record = step.record
    rows = [str(row) for row in record.rows]
    some = ", ".join(rows[:10]) + (", ..." if len(rows) > 10 else "")
    batches = "" if record.num_batches == 1 else f" in {record.num_batches} batches"
    return f"{len(rows)} sample{'s' * (len(rows) > 1)}{batches} (row{'s' * (len(rows) > 1)} {some} of the train split)"


def after_step(step: StepExplanation) -> str:
    """Returns the line that ends a step: the loss before and after it."""
    record = step.record
    return f"E before the step: {shown(record.loss)}; with the new weights: {shown(record.loss_after)}"


def _step(trace: Trace, step: StepExplanation) -> str:
    title = step_title(trace, step)
    parts = [f"{title}\n{'=' * len(title)}"]
    for name, groups in step.parts():
        parts.append(f"{name}\n{'-' * len(name)}")
        parts += [_group(group) for group in groups if group.equations]
    return "\n\n".join([*parts, after_step(step)])


def _group(group: Group) -> str:
    lines = [group.title, *(f"  {TEXT.equation(equation)}" for equation in group.equations)]
    return "\n".join([*lines, *([f"  ({group.note}; --layer and --unit choose what is shown)"] if group.note else [])])


def loss_rows(trace: Trace) -> list[tuple[str, str, str]]:
    """Returns the step, learning rate and loss of the first and the last steps, with dots for those left out."""
    losses = trace.recording.losses
    kept = range(len(losses)) if len(losses) <= 40 else [*range(20), *range(len(losses) - 20, len(losses))]
    rows = []
    for place, number in enumerate(kept):
        if place and number != kept[place - 1] + 1:
            rows.append(("...", "", ""))
        loss, lr = losses[number]
        rows.append((str(number + 1), shown(lr), shown(loss)))
    return rows


def _losses(trace: Trace) -> str:
    rows = [("step", "lr", "E"), *loss_rows(trace)]
    return "\n".join(["E of each step", *(f"{step:>6}  {lr:>12}  {loss}".rstrip() for step, lr, loss in rows)])
