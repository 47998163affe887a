"""The learning rates in metrics.csv against the formulas of the schedulers."""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnzoo
from nnzoo.builders import build_optimizer, build_schedule
from nnzoo.config import load_config, to_yaml
from nnzoo.config.base import members
from nnzoo.config.scheduler import SchedulerSection
from nnzoo.errors import UsageError
from nnzoo.training.optimization.schedules import Schedule

LR = 0.5


def rates(tmp_path: Path, scheduler: object, *, epochs: int, **train: Any) -> list[float]:
    """Returns the lr column of metrics.csv, of the last step of each epoch, with four batches of one sample."""
    config = {
        "data": "or",
        "model": "linear",
        "optimizer": {"name": "sgd", "lr": LR},
        "scheduler": scheduler,
        "train": {"epochs": epochs, "batch_size": 1, "early_stopping": None, **train},
    }
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    with (run.run_dir / "metrics.csv").open() as file:
        return [float(row["lr"]) for row in csv.DictReader(file)]


def cosine(lowest: float, t: float, length: float, highest: float = LR) -> float:
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * t / length)) / 2


def one_cycle(t: float, length: int, top: float) -> float:
    """Smith & Topin 2018 with cosines: up in the first 30 %, then down."""
    peak = 0.3 * length - 1
    if t <= peak:
        return cosine(top / 25, peak - t, peak, top)
    return cosine(top / 25e4, t - peak, length - 1 - peak, top)


CYCLES = [(75, 100), (25, 50), (0, 25)]
"""Three cycles in 170 epochs, each twice as long as the previous one; the first has 25, a seventh of the run."""

FORMULAS: list[tuple[Any, Callable[[int], float]]] = [
    ("constant", lambda t: LR),
    ({"name": "step", "step_size": 50, "gamma": 0.5}, lambda t: LR * 0.5 ** (t // 50)),
    (
        {"name": "multistep", "milestones": [50, 100, 160], "gamma": 0.1},
        lambda t: LR * 0.1 ** sum(t >= milestone for milestone in (50, 100, 160)),
    ),
    ({"name": "exponential", "gamma": 0.97}, lambda t: LR * 0.97**t),
    ({"name": "cosine", "eta_min": 0.1}, lambda t: 0.1 + (LR - 0.1) * (1 + math.cos(math.pi * t / 170)) / 2),
    (
        {"name": "linear"},
        lambda t: LR * (1 / 3 + 2 / 3 * t / 170),
    ),
    (
        {"name": "linear", "start_factor": 1.0, "end_factor": 0.1, "total_iters": 60},
        lambda t: LR * (1 - 0.9 * min(t, 60) / 60),
    ),
    ({"name": "polynomial"}, lambda t: LR * (1 - t / 170)),
    ({"name": "polynomial", "power": 2, "total_iters": 100}, lambda t: LR * (1 - min(t, 100) / 100) ** 2),
    ({"name": "cosine_restarts", "T_0": 20, "eta_min": 0.1}, lambda t: cosine(0.1, t % 20, 20)),
    (
        {"name": "cosine_restarts", "T_0": 20, "T_mult": 2},
        lambda t: next(cosine(0, t - start, 20 + start) for start in (140, 60, 20, 0) if t >= start),
    ),
    ({"name": "one_cycle", "interval": "epoch"}, lambda t: one_cycle(t, 170, LR)),
    (
        {"name": "one_cycle", "interval": "epoch", "max_lr": 0.1, "total_steps": 50},
        lambda t: one_cycle(min(t, 49), 50, 0.1),
    ),
    (
        {"name": "one_cycle", "anneal_strategy": "linear", "three_phase": True, "pct_start": 0.2, "div_factor": 4},
        lambda t: float(np.interp(t, [0, 33, 66, 169], [LR / 4, LR, LR / 4, LR / 4e4])),
    ),
    # A rise of a single step starts at the maximum.
    (
        {"name": "one_cycle", "anneal_strategy": "linear", "pct_start": 1 / 170},
        lambda t: float(np.interp(t, [0, 169], [LR, LR / 25e4])),
    ),
    (
        {"name": "cyclic", "base_lr": 0.1, "step_size_up": 10, "step_size_down": 30},
        lambda t: float(np.interp(t % 40, [0, 10, 40], [0.1, LR, 0.1])),
    ),
    (
        {"name": "cyclic", "base_lr": 0.1, "max_lr": 0.3, "step_size_up": 10, "mode": "triangular2"},
        lambda t: 0.1 + 0.2 * (1 - abs(t % 20 - 10) / 10) / 2 ** (t // 20),
    ),
    (
        {"name": "cyclic", "base_lr": 0.1, "step_size_up": 10, "mode": "exp_range", "gamma": 0.99},
        lambda t: 0.1 + 0.4 * (1 - abs(t % 20 - 10) / 10) * 0.99**t,
    ),
    ("step", lambda t: LR * 0.1 ** (t // 57)),
    ("multistep", lambda t: LR * 0.1 ** sum(t >= milestone for milestone in (85, 128))),
    ("exponential", lambda t: LR * 0.01 ** (t / 170)),
    ("cosine", lambda t: cosine(0, t, 170)),
    ("cosine_restarts", lambda t: cosine(0, t % 57, 57)),
    ({"name": "cosine_restarts", "T_mult": 2}, lambda t: cosine(0, *next((t - s, n) for s, n in CYCLES if t >= s))),
    ({"name": "cyclic", "interval": "epoch"}, lambda t: LR * float(np.interp(t % 58, [0, 29, 58], [0.25, 1, 0.25]))),
    ({"name": "cosine", "T_max": 200}, lambda t: LR * (1 + math.cos(math.pi * t / 200)) / 2),
]


def test_every_scheduler_has_its_formula() -> None:
    # plateau depends on the monitor, see below.
    named = {section if isinstance(section, str) else section["name"] for section, _ in FORMULAS}
    assert named == set(members(SchedulerSection)) - {"plateau"}


@pytest.mark.parametrize(("scheduler", "formula"), FORMULAS)
def test_the_lr_column_matches_the_formula(tmp_path: Path, scheduler: object, formula: Callable[[int], float]) -> None:
    found = rates(tmp_path, scheduler, epochs=170, batch_size="full")
    assert found == pytest.approx([formula(t) for t in range(170)], rel=1e-9)


def test_interval_step_counts_steps(tmp_path: Path) -> None:
    # Four steps per epoch; the last one of epoch e, from 0, is step 4 e + 3.
    found = rates(tmp_path, {"name": "exponential", "gamma": 0.9, "interval": "step"}, epochs=5)
    assert found == pytest.approx([LR * 0.9 ** (4 * epoch + 3) for epoch in range(5)])
    found = rates(tmp_path, {"name": "cosine", "interval": "step"}, epochs=5)
    assert found == pytest.approx([LR * (1 + math.cos(math.pi * (4 * e + 3) / 20)) / 2 for e in range(5)])


def test_one_cycle_and_cyclic_count_steps_by_default(tmp_path: Path) -> None:
    found = rates(tmp_path, "one_cycle", epochs=5)
    assert found == pytest.approx([one_cycle(4 * e + 3, 20, LR) for e in range(5)])
    found = rates(tmp_path, {"name": "cyclic", "base_lr": 0.1, "step_size_up": 6}, epochs=5)
    assert found == pytest.approx([0.1 + 0.4 * (1 - abs((4 * e + 3) % 12 - 6) / 6) for e in range(5)])
    found = rates(tmp_path, {"name": "cyclic", "base_lr": 0.1, "step_size_up": 6, "interval": "epoch"}, epochs=5)
    assert found == pytest.approx([0.1 + 0.4 * e / 6 for e in range(5)])


@pytest.mark.parametrize(
    ("scheduler", "formula"),
    [
        ({"name": "linear"}, lambda t, length: LR * (1 / 3 + 2 / 3 * t / length)),
        ({"name": "polynomial", "power": 3}, lambda t, length: LR * (1 - t / length) ** 3),
        ({"name": "cosine_restarts", "T_0": 3}, lambda t, length: cosine(0, t % 3, 3)),
        ({"name": "one_cycle"}, lambda t, length: one_cycle(t, length, LR)),
        (
            {"name": "cyclic", "base_lr": 0.2, "step_size_up": 2},
            lambda t, length: 0.2 + 0.3 * (1 - abs(t % 4 - 2) / 2),
        ),
    ],
)
@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_every_schedule_starts_after_the_warm_up(
    tmp_path: Path, scheduler: dict[str, Any], formula: Callable[[int, int], float], interval: str
) -> None:
    # The warm-up ends at the initial lr of the schedule, and the default length excludes the warm-up.
    found = rates(tmp_path, scheduler | {"warmup_epochs": 2, "interval": interval}, epochs=7)
    start = formula(0, 5)
    times, length = (range(5), 5) if interval == "epoch" else ([3, 7, 11, 15, 19], 20)
    assert found == pytest.approx([start / 2, start, *(formula(t, length) for t in times)], abs=1e-12)


@pytest.mark.parametrize(
    ("optimizer", "moves"),
    [("adamw", True), ({"name": "sgd", "momentum": 0.5}, True), ("sgd", False), ("rprop", False), ("lbfgs", False)],
)
@pytest.mark.parametrize("scheduler", ["one_cycle", {"name": "cyclic", "base_lr": 1e-4, "step_size_up": 3}])
def test_momentum_falls_while_lr_rises(optimizer: object, moves: bool, scheduler: object) -> None:
    config = load_config({"data": "or", "model": "linear", "optimizer": optimizer, "scheduler": scheduler})
    chosen = build_optimizer(config, torch.nn.Linear(2, 2))
    schedule = build_schedule(config, chosen, 10)
    group = chosen.param_groups[0]
    pairs = []
    for _ in range(4):
        pairs.append((schedule.lr, group["betas"][0] if "betas" in group else group.get("momentum", 0)))
        chosen._opt_called = True  # type: ignore[attr-defined]
        schedule.after_step()
    assert pairs[0][0] < pairs[1][0] < pairs[3][0]
    assert (pairs[0][1] > pairs[1][1] > pairs[3][1]) == moves
    if not moves:
        assert len({momentum for _, momentum in pairs}) == 1


@pytest.mark.parametrize("interval", ["epoch", "step"])
def test_the_schedule_starts_at_t_0_after_the_warm_up(tmp_path: Path, interval: str) -> None:
    scheduler = {"name": "exponential", "gamma": 0.9, "warmup_epochs": 2, "interval": interval}
    found = rates(tmp_path, scheduler, epochs=5)
    powers = [0, 1, 2] if interval == "epoch" else [3, 7, 11]
    assert found == pytest.approx([LR * 4 / 8, LR, *(LR * 0.9**power for power in powers)])


def test_the_default_length_of_cosine_excludes_the_warm_up(tmp_path: Path) -> None:
    found = rates(tmp_path, {"name": "cosine", "warmup_epochs": 2}, epochs=6)
    assert found == pytest.approx([LR / 2, LR, *(LR * (1 + math.cos(math.pi * t / 4)) / 2 for t in range(4))])


def test_warm_up_counts_optimizer_steps(tmp_path: Path) -> None:
    # Three batches per step: two steps per epoch, the second one over the remaining batches.
    scheduler = {"name": "exponential", "gamma": 0.5, "interval": "step", "warmup_epochs": 2}
    found = rates(tmp_path, scheduler, epochs=4, accumulate_grad_batches=3)
    assert found == pytest.approx([LR * 2 / 4, LR, LR * 0.5, LR * 0.5**3])


def test_every_step_of_the_warm_up_is_linear() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    schedule = Schedule(optimizer, "step", step_size=3, gamma=0.1, interval="step", warmup_steps=5)
    found = []
    for _ in range(12):
        found.append(schedule.lr)
        optimizer.step()
        schedule.after_step()
    assert found == pytest.approx([LR * s / 5 for s in (1, 2, 3, 4, 5)] + [LR * 0.1 ** (t // 3) for t in range(7)])


def test_plateau_reduces_lr_when_the_monitor_does_not_improve(tmp_path: Path) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = Schedule(optimizer, "plateau", mode="min", factor=0.5, patience=2, threshold=0.1, threshold_mode="abs")
    found = []
    for monitored in (5.0, 4.0, 3.95, 3.92, 3.91, 3.0, 3.0, 3.0, 3.0, float("nan")):
        optimizer.step()
        schedule.after_step()
        schedule.after_epoch(monitored)
        found.append(schedule.lr)
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(("monitor", "falls"), [("train/loss", False), ("train/accuracy", True)])
def test_plateau_uses_the_direction_of_the_monitor(tmp_path: Path, monitor: str, falls: bool) -> None:
    # OR is learnt in a few epochs. Then the accuracy remains 1 while the loss still falls.
    scheduler = {"name": "plateau", "factor": 0.5, "patience": 3, "threshold": 0.0}
    found = rates(tmp_path, scheduler, epochs=30, monitor=monitor)
    assert (found[-1] < LR) == falls
    assert found[:4] == [LR] * 4


def test_plateau_does_not_count_the_warm_up(tmp_path: Path) -> None:
    scheduler = {"name": "plateau", "factor": 0.5, "patience": 0, "threshold": 1e6, "threshold_mode": "abs"}
    # Epoch 3 sets the first best value, epoch 4 does not improve it, so epoch 5 has a lower lr.
    assert rates(tmp_path, scheduler | {"warmup_epochs": 2}, epochs=6) == pytest.approx(
        [LR / 2, LR, LR, LR, LR / 2, LR / 4]
    )


@pytest.mark.parametrize("name", [name for name in members(SchedulerSection) if name != "plateau"])
@pytest.mark.parametrize("interval", ["epoch", "step"])
@pytest.mark.parametrize("epochs", [1, 2, 3, 7])
def test_every_scheduler_works_without_options(tmp_path: Path, name: str, interval: str, epochs: int) -> None:
    for warmup in {0, epochs - 1}:
        found = rates(tmp_path, {"name": name, "interval": interval, "warmup_epochs": warmup}, epochs=epochs)
        assert len(found) == epochs
        assert all(0 <= rate <= LR * (1 + 1e-9) for rate in found)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("step", lambda t: LR * 0.1 ** (t // 8)),
        ("multistep", lambda t: LR * 0.1 ** sum(t >= milestone for milestone in (12, 18))),
        ("exponential", lambda t: LR * 0.01 ** (t / 24)),
        ("cosine_restarts", lambda t: cosine(0, t % 8, 8)),
        ("cyclic", lambda t: LR * float(np.interp(t % 8, [0, 4, 8], [0.25, 1, 0.25]))),
    ],
)
def test_default_lengths_are_in_steps_with_interval_step(
    tmp_path: Path, name: str, formula: Callable[[int], float]
) -> None:
    # Six epochs of four steps.
    found = rates(tmp_path, {"name": name, "interval": "step"}, epochs=6)
    assert found == pytest.approx([formula(4 * epoch + 3) for epoch in range(6)])


def test_the_resolved_config_has_the_default_lengths(tmp_path: Path) -> None:
    run = nnzoo.train(
        {"data": "or", "model": "linear", "scheduler": "step", "train": {"epochs": 20}}, runs_dir=tmp_path, quiet=True
    )
    assert "# step_size: 7 (from 20 epochs)\nscheduler:" in (run.run_dir / "config.yaml").read_text()
    # A longer run from the same file has a longer schedule.
    longer = load_config(run.run_dir, ["train.epochs=30", "scheduler.warmup_epochs=3"])
    assert "# step_size: 9 (from 27 epochs)\nscheduler:" in to_yaml(longer)
    by_step = load_config(run.run_dir, ["scheduler={name: multistep, interval: step}"])
    assert "# milestones: from the number of steps in 20 epochs\nscheduler:" in to_yaml(by_step)
    assert "#" not in to_yaml(load_config(run.run_dir, ["scheduler.step_size=3"]))


def test_a_resumed_run_keeps_the_length_of_its_schedule(tmp_path: Path) -> None:
    config = {"data": "or", "model": "linear", "scheduler": "multistep", "train": {"epochs": 2}}
    nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    with pytest.raises(UsageError, match="also the length of its multistep schedule"):
        nnzoo.train(config, overrides={"train.epochs": 4}, resume=True, runs_dir=tmp_path, quiet=True)
