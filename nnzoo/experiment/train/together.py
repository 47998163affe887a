"""Trains the networks of several configs at the same time, in batched steps, each with a run directory of its own.

The configs may differ in the values of `BATCHABLE`. Each run gets the files that it would have alone.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nnzoo import log
from nnzoo.builders import build_average, build_settings
from nnzoo.config import Config, check_facts, dump, resolve
from nnzoo.config.base import fields_of
from nnzoo.errors import InterruptedRunError
from nnzoo.experiment.checksums import digests_of
from nnzoo.experiment.prepare import Experiment, prepare, without_raw_inputs
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.experiment.train.record import Recorder
from nnzoo.experiment.train.run import deterministic
from nnzoo.experiment.train.start import build_state, start_again
from nnzoo.experiment.train.turns import one_at_a_time
from nnzoo.run import directory
from nnzoo.run.files import write_text
from nnzoo.run.lock import locked
from nnzoo.summaries import Summary
from nnzoo.training.loop import fit
from nnzoo.training.optimization.optimizers import build_optimizer
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.members import MemberLearner, member_learner
from nnzoo.training.restarts.replicas import why_not_batched
from nnzoo.training.signals import StopRequest
from nnzoo.training.state import TrainState

BATCHABLE = ("seed", "init", "optimizer.lr", "optimizer.weight_decay", "scheduler", "model.dropout")
"""The config keys in which the networks may differ; a section stands for all of its keys."""
MODELS = ("mlp", "linear", "perceptron", "auto")
"""The models that may be batched; which one `auto` chooses is known with the data."""
_NOT_SCALED = ("lbfgs", "muon", "rprop")
"""Optimizers whose step is not proportional to the learning rate, or that do not update each value alone."""
_CHANGE_MOMENTUM = ("one_cycle", "cyclic")
_DECOUPLED = ("adamw",)


class NotBatchedError(Exception):
    """The networks can't be trained together; the message is the reason."""


def is_batchable(key: str) -> bool:
    """Whether networks that differ in a config key can be trained together."""
    return any(key == each or key.startswith(f"{each}.") for each in BATCHABLE)


def common_part(config: Config) -> str:
    """Returns the part of a config that networks must share to be trained together, as text."""
    values = dump(config)
    for key in (*BATCHABLE, "name"):
        section, _, field = key.partition(".")
        if field:
            values[section].pop(field, None)
        else:
            del values[section]
    return json.dumps(values, sort_keys=True)


def why_not_together(config: Config) -> str | None:
    """Returns why networks of a config can't be trained together, as far as the config tells; None if they can."""
    train, model = config.train, config.model
    reasons = {
        f"{model.name} is not batched": model.name not in MODELS,
        "train.restarts and train.folds train several networks per trial": train.restarts > 1
        or train.folds is not None,
        "train.max_minutes limits the time of one network": train.max_minutes is not None,
        "each network augments its own batches": bool(config.augment),
        "weights from a checkpoint or frozen layers are not batched": bool(
            getattr(model, "pretrained", None) or getattr(model, "freeze_epochs", None)
        ),
        "regularization.l1 is applied with the learning rate of one network": config.regularization.l1 > 0,
        f"{config.optimizer.name} is not batched with several learning rates": config.optimizer.name in _NOT_SCALED,
        f"{config.scheduler.name} changes the momentum": config.scheduler.name in _CHANGE_MOMENTUM,
        "train.log writes the events of one network": bool(train.log),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


@dataclass(frozen=True)
class _Member:
    experiment: Experiment
    state: TrainState
    generator: torch.Generator


def train_together(configs: Sequence[Config], runs_dir: Path, *, quiet: bool = False) -> list[dict[str, Any]]:
    """Trains one network per config, in batched steps.

    Args:
        configs: Configs with an equal `common_part`, whose names are those of the runs.
        runs_dir: The folder of the run directories. Those that exist are cleared.
        quiet: Whether progress is hidden.

    Returns:
        The content of result.json of each run.

    Raises:
        NotBatchedError: The networks can't be batched. Nothing was written.
        InterruptedRunError: A signal arrived. Nothing is kept.
        ConfigError, DataError, RunError: As in `train`.
    """
    if reason := why_not_together(configs[0]):
        raise NotBatchedError(reason)
    with contextlib.ExitStack() as stack:
        journal = stack.enter_context(log.recording(quiet=quiet))
        stack.enter_context(one_at_a_time())
        stack.enter_context(deterministic(configs[0]))
        stack.enter_context(use_threads(threads_of_data(configs[0], None)))
        first = prepare(configs[0])
        digests = digests_of(first.dataset)
        members, summary, num_threads = _members(without_raw_inputs(first), configs)
        stack.enter_context(use_threads(num_threads))
        if reason := why_not_batched(members[0].state, first.splits["train"].targets):
            raise NotBatchedError(reason)
        learner = _learner(members)
        recorders = []
        for member in members:
            folder = runs_dir / member.experiment.config.name
            folder.mkdir(exist_ok=True)
            stack.enter_context(locked(folder))
            directory.clear(folder)
            recorder = Recorder(
                folder, member.experiment, summary.render(), summary.num_parameters, digests, journal.warnings
            )
            recorder.start()
            recorders.append(recorder)
        with StopRequest() as stop:
            progress = Progress(first.settings.epochs, quiet=journal.quiet)
            status = fit(learner, first.splits, first.settings, save=lambda _: None, progress=progress, stop=stop)
            progress.end_epoch()
        if status == "interrupted" and stop.signal_number is not None:
            for recorder in recorders:
                directory.clear(recorder.folder)
            raise InterruptedRunError("interrupted", signal_number=stop.signal_number, result={})
        return [
            _finish(recorder, member, end, len(members))
            for recorder, member, end in zip(recorders, members, learner.state.ends, strict=True)
        ]


def _members(first: Experiment, configs: Sequence[Config]) -> tuple[list[_Member], Summary, int]:
    """Builds the experiment and the initial state of each network, on the data of the first one."""
    members: list[_Member] = []
    state, summary, num_threads = build_state(first, None, show=lambda _: None)
    with use_threads(num_threads):
        for index, config in enumerate(configs):
            experiment = first
            if index:
                check_facts(config, first.facts)
                resolved = resolve(config, first.facts)
                experiment = replace(first, config=resolved, settings=build_settings(resolved))
                state = start_again(experiment, None, None, config.seed)
            generator = torch.Generator(first.device).manual_seed(config.seed)
            if first.device.type == "cpu":
                # Dropout continues from here, as when the network is trained alone.
                generator.set_state(torch.get_rng_state())
            members.append(_Member(experiment, state, generator))
    return members, summary, num_threads


def _learner(members: Sequence[_Member]) -> MemberLearner:
    """Builds the learner of all networks."""
    config = members[0].experiment.config
    section: Any = config.optimizer
    fields = fields_of(section, "backbone_lr") | {"lr": 1.0}
    has_decay = "weight_decay" in fields
    if has_decay:
        fields["weight_decay"] = 0.0
    if len(members[0].state.optimizer.param_groups) > 1:
        raise NotBatchedError("layers have different learning rates")
    configs = [member.experiment.config for member in members]
    return member_learner(
        [member.state for member in members],
        [each.seed for each in configs],
        [member.generator for member in members],
        build=lambda parameters: build_optimizer(section.name, parameters, **fields),
        decays=[getattr(each.optimizer, "weight_decay", 0.0) for each in configs],
        decoupled=section.name in _DECOUPLED or bool(getattr(section, "decoupled_weight_decay", False)),
        average=lambda network: build_average(config, network),
    )


def _finish(recorder: Recorder, member: _Member, end: str, count: int) -> dict[str, Any]:
    """Writes the files of a network that has ended."""
    if member.experiment.device.type == "cpu":
        torch.set_rng_state(member.generator.get_state())
    write_text(recorder.folder / directory.LOG, f"trained in one batch with {count - 1} other networks: {end}\n")
    recorder.save(member.state)
    return recorder.finish(member.state, end)
