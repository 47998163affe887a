"""Learning-rate schedulers: torch's names and fields. Lengths count epochs, or steps with `interval: step`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnzoo.config.base import ByName, Count, Items, Natural, NonNegative, Positive, Probability, Section

LENGTHS = ("T_max", "total_iters", "total_steps")
"""The fields that mean, left null, what the warm-up leaves of the run."""
_BY_OPTIMIZER = "null: where the optimizer has one"


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


class LinearLr(Scheduler):
    """lr * (start_factor + (end_factor - start_factor) * min(t, total_iters) / total_iters)."""

    name: Literal["linear"]
    start_factor: Annotated[float, Field(gt=0, le=1)] = Field(1 / 3, description="factor at the start")
    end_factor: Annotated[float, Field(ge=0, le=1)] = Field(1.0, description="factor at the end")
    total_iters: Count | None = Field(None, description="length of the line; null: what the warm-up leaves of the run")


class PolynomialLr(Scheduler):
    """lr * (1 - min(t, total_iters) / total_iters)^power."""

    name: Literal["polynomial"]
    power: NonNegative = Field(1.0, description="1: a line")
    total_iters: Count | None = Field(None, description="length of the fall; null: what the warm-up leaves of the run")


class CosineRestarts(Scheduler):
    """Cosine from lr to eta_min, again and again, each T_mult times longer than the last (Loshchilov & Hutter 2017)."""

    name: Literal["cosine_restarts"]
    T_0: Count = Field(description="length of the first fall")
    T_mult: Count = Field(1, description="how many times longer each fall is than the one before")
    eta_min: NonNegative = Field(0.0, description="lowest lr")


class OneCycle(Scheduler):
    """Up from max_lr / div_factor to max_lr, then down to 1 / final_div_factor of the start (Smith & Topin 2018).

    It counts steps unless `interval: epoch` is said, and stays at its last lr after total_steps.
    """

    name: Literal["one_cycle"]
    interval: Literal["epoch", "step"] = Field("step", description="what t counts")
    max_lr: Positive | None = Field(None, description="highest lr; null: the optimizer's")
    total_steps: Count | None = Field(None, description="length of the cycle; null: what the warm-up leaves of the run")
    pct_start: Probability = Field(0.3, description="share of the cycle that rises")
    anneal_strategy: Literal["cos", "linear"] = Field("cos", description="shape of rise and fall")
    cycle_momentum: bool | None = Field(
        None, description="momentum (or the first of betas) falls while lr rises; " + _BY_OPTIMIZER
    )
    base_momentum: Probability = Field(0.85, description="lowest momentum")
    max_momentum: Probability = Field(0.95, description="highest momentum")
    div_factor: Positive = Field(25.0, description="the cycle starts at max_lr / div_factor")
    final_div_factor: Positive = Field(1e4, description="and ends at 1 / final_div_factor of that")
    three_phase: bool = Field(False, description="first fall to the start as long as the rise, then to the end")


class Cyclic(Scheduler):
    """Up and down between base_lr and max_lr, in lines (Smith 2017).

    It counts steps unless `interval: epoch` is said.
    """

    name: Literal["cyclic"]
    interval: Literal["epoch", "step"] = Field("step", description="what t counts")
    base_lr: NonNegative = Field(description="lowest lr")
    max_lr: Positive | None = Field(None, description="highest lr; null: the optimizer's")
    step_size_up: Count = Field(2000, description="length of the rise")
    step_size_down: Count | None = Field(None, description="length of the fall; null: that of the rise")
    mode: Literal["triangular", "triangular2", "exp_range"] = Field(
        "triangular", description="triangular2: each cycle half as high; exp_range: gamma^t as high"
    )
    gamma: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="of exp_range")
    cycle_momentum: bool | None = Field(
        None, description="momentum (or the first of betas) falls while lr rises; " + _BY_OPTIMIZER
    )
    base_momentum: Probability = Field(0.8, description="lowest momentum")
    max_momentum: Probability = Field(0.9, description="highest momentum")


SchedulerSection = Annotated[
    ConstantLr
    | StepLr
    | MultiStepLr
    | ExponentialLr
    | LinearLr
    | PolynomialLr
    | CosineLr
    | CosineRestarts
    | OneCycle
    | Cyclic
    | Plateau,
    Field(discriminator="name"),
    ByName("a scheduler", default="constant"),
]
