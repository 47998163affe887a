"""Learning-rate schedulers: torch's names and fields. Lengths count epochs, or steps with `interval: step`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnzoo.config.base import ByName, Count, Items, Natural, NonNegative, Positive, Probability, Section


class Scheduler(Section):
    """What every scheduler has. The schedule itself starts when the warm-up ends."""

    warmup_epochs: Natural = Field(0, description="lr rises linearly, step by step, to its value")
    interval: Literal["epoch", "step"] = Field("epoch", description="what t counts")


class ConstantLr(Scheduler):
    """lr stays as it is."""

    name: Literal["constant"] = "constant"


class StepLr(Scheduler):
    """lr * gamma^floor(t / step_size)."""

    name: Literal["step"]
    step_size: Count = Field(description="length of a stair")
    gamma: Positive = Field(0.1, description="factor of a stair")


class MultiStepLr(Scheduler):
    """lr * gamma^(number of milestones <= t)."""

    name: Literal["multistep"]
    milestones: Items[Count] = Field(description="when lr falls, in rising order")
    gamma: Positive = Field(0.1, description="factor at each milestone")


class ExponentialLr(Scheduler):
    """lr * gamma^t."""

    name: Literal["exponential"]
    gamma: Positive = Field(description="factor each time")


class CosineLr(Scheduler):
    """eta_min + (lr - eta_min) * (1 + cos(pi * t / T_max)) / 2 (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"]
    T_max: Count | None = Field(None, description="length of the fall; null: what the warm-up leaves of the run")
    eta_min: NonNegative = Field(0.0, description="lowest lr")


class Plateau(Scheduler):
    """lr * factor each time that the monitor has not improved for more than `patience` epochs."""

    name: Literal["plateau"]
    factor: Probability = Field(0.1, description="what lr is multiplied with")
    patience: Natural = Field(10, description="epochs without improvement that are let pass")
    threshold: NonNegative = Field(1e-4, description="what counts as improvement")
    threshold_mode: Literal["rel", "abs"] = Field("rel", description="threshold relative to the best, or absolute")
    cooldown: Natural = Field(0, description="epochs to wait after a fall")
    min_lr: NonNegative = Field(0.0, description="lowest lr")
    eps: NonNegative = Field(1e-8, description="smaller changes of lr are not made")


SchedulerSection = Annotated[
    ConstantLr | StepLr | MultiStepLr | ExponentialLr | CosineLr | Plateau,
    Field(discriminator="name"),
    ByName("a scheduler", default="constant"),
]
