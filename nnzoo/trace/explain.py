"""Explains recorded steps: the equations of the forward pass, the loss, the backward pass and the update."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from torch import nn

from nnzoo.config import Config
from nnzoo.errors import UsageError
from nnzoo.models import penalised
from nnzoo.trace.chain import stages_of
from nnzoo.trace.losses import loss_group
from nnzoo.trace.outputs import outputs_of, targets_group
from nnzoo.trace.record import Recording, StepRecord
from nnzoo.trace.setup import Setup
from nnzoo.trace.stage import Group, Limits
from nnzoo.trace.updates import Penalties, clipping_group, update_of


@dataclass(frozen=True)
class StepExplanation:
    """A step as equations.

    Attributes:
        record: The recorded step.
        forward: The equations of the inputs, the targets and each layer.
        loss: The equations of the loss and of the derivatives by the outputs.
        backward: The equations of the derivatives of each layer, from the last layer to the first.
        update: The equations from the derivatives to the new weights, by layer.
    """

    record: StepRecord
    forward: list[Group]
    loss: list[Group]
    backward: list[Group]
    update: list[Group]

    def parts(self) -> list[tuple[str, list[Group]]]:
        """Returns the parts of the step with their headings."""
        return [
            ("Forward", self.forward),
            ("Loss", self.loss),
            ("Backward", self.backward),
            ("Update", self.update),
        ]


@dataclass(frozen=True)
class Trace:
    """The trace of a training.

    Attributes:
        recording: The recorded steps.
        limits: What is shown.
        steps: The steps that are shown in full, as equations.
        notes: What the reader should know, one sentence each.
    """

    recording: Recording
    limits: Limits
    steps: list[StepExplanation]
    notes: list[str] = field(default_factory=list)

    @property
    def setup(self) -> Setup:
        """The training."""
        return self.recording.setup

    @property
    def config(self) -> Config:
        """The resolved config."""
        return self.setup.experiment.config


def explain(recording: Recording, limits: Limits, *, num_steps: int) -> Trace:
    """Explains the recorded steps.

    Args:
        recording: The recorded steps.
        limits: What is shown.
        num_steps: The number of steps that were asked for.

    Raises:
        UsageError: There is no such layer or unit.
    """
    setup = recording.setup
    check_limits(setup.state.model, recording.steps[0], limits, setup)
    steps = [explain_step(setup, record, limits) for record in recording.steps]
    notes = list(setup.notes)
    is_frozen = not all(each.requires_grad for each in setup.state.model.parameters())
    if is_frozen and any(each.grad.isnan().any() for each in recording.steps[0].modules.values()):
        notes.append("model.freeze: derivatives that no trained parameter needs are not computed, and not shown.")
    taken = len(recording.losses)
    if taken < num_steps:
        epochs = setup.experiment.settings.epochs
        notes.append(
            f"Training ends after {taken} step{'s' * (taken > 1)} (train.epochs: {epochs}, or early stopping), "
            f"before the {num_steps} steps that were asked for."
        )
    if len(recording.losses) > len(recording.steps):
        notes.append("Only the first and the last step are shown in full.")
    return Trace(recording, limits, steps, notes)


def explain_step(setup: Setup, record: StepRecord, limits: Limits) -> StepExplanation:
    """Returns the equations of one step."""
    model, dataset = setup.state.model, setup.experiment.dataset
    stages = stages_of(model, record, dataset.feature_names)
    inputs, layers = stages[0], [stage for stage in stages[1:] if limits.shows(stage.name)]
    outputs = outputs_of(record, setup.state.loss, stages[-1].rows)
    classes = dataset.classes or dataset.target_names
    if classes == tuple(f"y{number}" for number in range(len(classes))):
        classes = ()
    settings = setup.experiment.settings
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    penalties = Penalties(
        settings.l1,
        settings.l2,
        settings.clip_grad_norm,
        frozenset(names[id(parameter)] for parameter in penalised(model)),
    )
    clipping, factor = clipping_group(record, penalties)
    updates = [clipping] if clipping else []
    for layer in layers:
        equations = [
            equation
            for weight in layer.weights(limits)
            for equation in update_of(weight, record, setup.experiment.config.optimizer.name, penalties, factor)
        ]
        if equations:
            updates.append(Group(layer.name, equations))
    return StepExplanation(
        record,
        [inputs.forward(limits), targets_group(outputs, classes, limits), *(each.forward(limits) for each in layers)],
        [loss_group(setup.state.loss, outputs, record.loss, limits)],
        [_computed(each.backward(limits)) for each in reversed(layers)],
        updates,
    )


def _computed(group: Group) -> Group:
    """Leaves out the derivatives that training does not compute, because no trained parameter needs them."""
    return replace(group, equations=[each for each in group.equations if not math.isnan(each.value)])


def check_limits(model: nn.Module, record: StepRecord, limits: Limits, setup: Setup) -> None:
    """Checks that the layer and the unit that are asked for exist.

    Raises:
        UsageError: They don't.
    """
    stages = stages_of(model, record, setup.experiment.dataset.feature_names)[1:]
    shown = [stage for stage in stages if limits.shows(stage.name)]
    if not shown:
        names = ", ".join(stage.name for stage in stages)
        raise UsageError(f"there is no such layer. The layers are {names}.", where=f"--layer {limits.layer}")
    most = max(stage.values.shape[1] for stage in shown)
    if limits.unit is not None and limits.unit > most:
        raise UsageError(
            f"there is no such unit: {'the' if limits.layer else 'the largest'} layer has {most}, counted from 1.",
            where=f"--unit {limits.unit}",
        )
