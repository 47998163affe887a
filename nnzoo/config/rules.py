"""Rules across sections: they reject combinations that can't work, and state the reason and the fix.

They run twice: on the facts that the config states, before any data is read, and again on the facts of the data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnzoo.config import data, loss, model, optimizer, scheduler
from nnzoo.config.augment_rules import augment_rules
from nnzoo.config.base import LARGEST
from nnzoo.config.baselines import baseline_rules
from nnzoo.config.choices import changed_features, num_outputs, resolved_loss
from nnzoo.config.data_rules import data_rules
from nnzoo.config.document import Path, Problem
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts
from nnzoo.config.metrics import METRICS, default_metrics, direction
from nnzoo.config.network_rules import activation_rules, initializer_rules, model_rules
from nnzoo.config.suggest import did_you_mean, either

_PROBABILITIES = ("softmax", "log_softmax", "sigmoid")


def check(config: Config, facts: Facts) -> list[Problem]:
    """Returns all problems of a config, each with the path of the key to change."""
    rules = (
        data_rules,
        _preprocess,
        augment_rules,
        model_rules,
        initializer_rules,
        activation_rules,
        _loss,
        _output,
        _metrics,
        _monitor,
        _precision,
        _optimizer,
        _scheduler,
        baseline_rules,
        _folds,
        _cuda_graphs,
    )
    return [problem for rule in rules for problem in rule(config, facts)]


def _preprocess(config: Config, facts: Facts) -> Iterator[Problem]:
    steps, net = config.preprocess, config.model
    weights = getattr(net, "weights", None)
    if steps.normalize == "pretrained" and not isinstance(net, model.Custom) and net.pretrained is weights is None:
        yield (
            ("preprocess", "normalize"),
            "pretrained is the preprocessing of pretrained weights, but this config has none. Set model.pretrained, or "
            "use standardize.",
        )
    if steps.normalize == "pretrained" and weights is not None and steps.zca:
        yield ("preprocess", "zca"), "the weights of torchvision were trained without it. Remove it."
    if steps.pca and steps.zca:
        yield (
            ("preprocess", "zca"),
            "pca and zca can't be combined. Choose one of them; `pca: {whiten: true}` also whitens.",
        )
    if steps.pca and facts.input_shape and facts.layout in ("features", "sequence", "image"):
        columns = math.prod(facts.input_shape) if facts.layout == "image" else facts.input_shape[-1]
        if steps.pca.n_components > columns:
            yield (
                ("preprocess", "pca", "n_components"),
                f"expected at most {columns}, the number of input columns, got {steps.pca.n_components}.",
            )
    if facts.layout in ("tokens", "tree") and (steps.normalize not in ("auto", "none") or steps.pca or steps.zca):
        yield ("preprocess",), "tokens are categories, which can't be normalized or transformed. Remove it."
    if steps.normalize in ("robust", "quantile"):
        if facts.layout == "image":
            yield ("preprocess", "normalize"), f"{steps.normalize} is for columns, not for images. Use standardize."
        elif changed_features(config) is not None:
            yield (
                ("preprocess", "normalize"),
                f"{steps.normalize} is not linear, so changes of a series can't be forecast. Use standardize, or set "
                "`data.difference: false`.",
            )
    if steps.scale_target is True and facts.task in ("classification", "multilabel"):
        yield (
            ("preprocess", "scale_target"),
            f"scale_target is for regression, but this task is {facts.task}. Remove it.",
        )


def _loss(config: Config, facts: Facts) -> Iterator[Problem]:
    chosen = config.loss
    if facts.task and facts.task not in chosen.tasks:
        fitting = [name for name, member in _losses() if facts.task in member.tasks]
        yield (
            ("loss",),
            f"{chosen.name} does not support {facts.task}, the task of this data. Use {either(fitting)}.",
        )
    elif facts.per in ("step", "node") and not chosen.at_positions:
        fitting = [name for name, member in _losses() if facts.task in member.tasks and member.at_positions]
        yield (
            ("loss",),
            f"{chosen.name} needs a target for every output, but some {facts.per}s of this data have none. "
            f"Use {either(fitting)}.",
        )
    if isinstance(chosen, loss.WeightedLoss) and isinstance(chosen.class_weights, tuple) and facts.num_classes:
        given = len(chosen.class_weights)
        if given != facts.num_classes:
            yield ("loss", "class_weights"), f"expected {facts.num_classes} numbers, one per class, got {given}."


def _losses() -> Iterator[tuple[str, type[loss.Loss]]]:
    from nnzoo.config.base import members

    for name, member in members(loss.LossSection).items():
        if issubclass(member, loss.Loss) and name not in ("auto", "mae"):
            yield name, member


def _output(config: Config, facts: Facts) -> Iterator[Problem]:
    output = model.output_of(config.model)
    if output is None:
        return
    ending = output.activation.name
    path: Path = ("model", "output", "activation")
    chosen = resolved_loss(config, facts)
    if chosen is None or ending not in _PROBABILITIES:
        return
    if chosen.reads == "margins":
        yield path, f"{chosen.name} expects signed margins, not the probabilities of {ending}. Use identity."
    elif chosen.reads == "logits" and chosen.name != "bce" and ending == "sigmoid":
        yield (
            path,
            f"{chosen.name} needs probabilities that sum to 1, unlike those of sigmoid. Use softmax, identity or "
            "`loss: bce`.",
        )
    elif chosen.name == "bce" and (ending == "log_softmax" or (ending == "softmax" and facts.task == "multilabel")):
        yield (
            path,
            f"bce needs independent outputs, and {ending} makes them depend on each other. Use sigmoid or identity.",
        )
    elif chosen.reads == "values" and ending == "log_softmax":
        yield (
            path,
            f"{chosen.name} compares outputs with targets, but log_softmax is never positive. Use softmax.",
        )
    elif ending == "softmax" and num_outputs(chosen, facts) == 1:
        yield path, "the softmax of a single output unit is always 1. Use sigmoid or identity."


def _folds(config: Config, facts: Facts) -> Iterator[Problem]:
    fold, path = config.data.split.fold, ("train", "folds")
    if fold is not None and fold.number > fold.of:
        yield (
            ("data", "split", "fold", "number"),
            f"expected at most {fold.of} folds, got {fold.number}.",
        )
    if config.train.folds is None:
        return
    if fold is not None:
        yield ("data", "split", "fold"), "train.folds trains on every fold. Remove one of the two."
    if isinstance(config.data, data.Gate) and config.data.samples is None:
        yield path, "the network learns all four rows, so none is held out. Set data.samples, or remove this key."
    elif facts.per not in (None, "sample"):
        yield path, f"folds need one target per sample, but this data has one per {facts.per}. Remove it."


def _cuda_graphs(config: Config, facts: Facts) -> Iterator[Problem]:  # noqa: ARG001
    if config.train.compile != "cuda_graphs":
        return
    reason = ""
    if config.train.accumulate_grad_batches > 1:
        reason = "train.accumulate_grad_batches adds to gradients that the next replay of the graph overwrites"
    if config.optimizer.name == "lbfgs":
        reason = "lbfgs compares the gradients of several evaluations, which the next replay of the graph overwrites"
    if reason:
        yield ("train", "compile"), f"{reason}. Use `compile: true`."


def _metrics(config: Config, facts: Facts) -> Iterator[Problem]:
    if config.train.metrics == "auto":
        return
    for index, name in enumerate(config.train.metrics):
        if name in config.train.metrics[:index]:
            yield ("train", "metrics", index), f"{name} is listed twice."
        if problem := unfit_metric(name, config, facts):
            yield ("train", "metrics", index), problem


def unfit_metric(name: str, config: Config, facts: Facts) -> str:
    """Returns why a metric can't be computed; empty if it can."""
    chosen = resolved_loss(config, facts)
    if facts.task and facts.task not in METRICS[name].tasks:
        fitting = [metric for metric, known in METRICS.items() if facts.task in known.tasks]
        return f"{name} does not support {facts.task}, the task of this data. Use {either(fitting)}."
    if name == "top5_accuracy" and facts.task == "classification" and facts.num_classes and facts.num_classes <= 5:
        return f"top5_accuracy is always 1 with {facts.num_classes} classes. Use accuracy."
    if name == "perplexity" and chosen is not None and chosen.reads == "margins":
        return f"{chosen.name} gives no probabilities. Use `loss: cross_entropy`, or a different metric."
    return ""


def _monitor(config: Config, facts: Facts) -> Iterator[Problem]:
    monitor = config.train.monitor
    measured = "loss" if monitor == "auto" else monitor.partition("/")[2]
    if config.train.mode != "auto" and measured in ("loss", *METRICS) and config.train.mode != direction(measured):
        yield (
            ("train", "mode"),
            f"{config.train.mode} would select the worst weights by {measured}. Use auto, or a different `monitor`.",
        )
    if monitor == "auto":
        return
    given = config.train.metrics
    by_default = default_metrics(facts.task, facts.per) if facts.task and facts.per else METRICS
    splits = ["train"] if facts.has_val is False else ["val", "train"]
    allowed = [f"{split}/{name}" for split in splits for name in ("loss", *(by_default if given == "auto" else given))]
    if monitor not in allowed:
        why = " There is no val split." if facts.has_val is False and monitor.startswith("val/") else ""
        yield (
            ("train", "monitor"),
            f"'{monitor}' is not computed in this run.{why}{did_you_mean(monitor, allowed)} ({', '.join(allowed)})",
        )


def _precision(config: Config, facts: Facts) -> Iterator[Problem]:  # noqa: ARG001
    if config.train.precision != "fp16-mixed":
        return
    if config.train.device in ("cpu", "mps"):
        yield (
            ("train", "precision"),
            f"fp16-mixed needs CUDA, got train.device {config.train.device}. Use bf16-mixed or fp32.",
        )
    if isinstance(config.optimizer, optimizer.Lbfgs):
        yield (
            ("train", "precision"),
            "fp16-mixed skips steps with overflowing gradients, which lbfgs does not support. Use fp32, or a "
            "different optimizer.",
        )


def _optimizer(config: Config, facts: Facts) -> Iterator[Problem]:  # noqa: ARG001
    chosen = config.optimizer
    if isinstance(chosen, optimizer.Sgd) and chosen.nesterov and (not chosen.momentum or chosen.dampening):
        yield ("optimizer", "nesterov"), "nesterov needs momentum > 0 and dampening 0."
    if isinstance(chosen, optimizer.Rprop) and not chosen.etas[0] < 1 < chosen.etas[1]:
        yield ("optimizer", "etas"), f"expected one number below 1 and one above 1, got {list(chosen.etas)}."
    if isinstance(chosen, optimizer.Rprop) and chosen.step_sizes[0] > chosen.step_sizes[1]:
        yield ("optimizer", "step_sizes"), f"expected the smaller number first, got {list(chosen.step_sizes)}."
    if isinstance(chosen, optimizer.Lbfgs) and config.regularization.l1:
        yield (
            ("regularization", "l1"),
            "L1 is not supported with lbfgs, which does a line search. Use `l2`, or a different optimizer.",
        )
    if isinstance(chosen, optimizer.Lbfgs) and config.train.clip_grad_norm is not None:
        yield (
            ("train", "clip_grad_norm"),
            "gradient clipping is not supported with lbfgs, which does a line search. Remove it, or use a different "
            "optimizer.",
        )
    backbone_lr = getattr(chosen, "backbone_lr", None)
    if backbone_lr is not None and not chosen.lr:
        yield ("optimizer", "backbone_lr"), "the scheduler scales it with optimizer.lr, which is 0. Set optimizer.lr."
    penalties = {
        ("regularization", "l1"): config.regularization.l1,
        ("optimizer", "weight_decay"): getattr(chosen, "weight_decay", 0.0),
    }
    rate = max(chosen.lr, backbone_lr or 0.0)
    for path, penalty in penalties.items():
        if penalty * rate > LARGEST:
            yield (
                path,
                f"its product with the learning rate ({rate:g}) is too large for float32 (got {penalty:g}). Lower "
                "one of them.",
            )


def _scheduler(config: Config, facts: Facts) -> Iterator[Problem]:  # noqa: ARG001
    chosen = config.scheduler
    if chosen.warmup_epochs and chosen.warmup_epochs >= config.train.epochs:
        yield (
            ("scheduler", "warmup_epochs"),
            f"expected less than train.epochs, which is {config.train.epochs}, got {chosen.warmup_epochs}.",
        )
    if isinstance(chosen, scheduler.Plateau) and chosen.interval == "step":
        yield (
            ("scheduler", "interval"),
            "plateau uses the monitor, which is computed once per epoch. Use `interval: epoch`.",
        )
    if isinstance(chosen, scheduler.Cyclic) and (chosen.base_lr or 0) > (chosen.max_lr or config.optimizer.lr):
        highest = f"max_lr, which is {chosen.max_lr:g}" if chosen.max_lr else f"optimizer.lr ({config.optimizer.lr:g})"
        yield ("scheduler", "base_lr"), f"expected at most {highest}, got {chosen.base_lr:g}."
    if isinstance(chosen, scheduler.OneCycle) and chosen.three_phase and chosen.pct_start > 0.5:
        yield (
            ("scheduler", "pct_start"),
            f"expected at most 0.5 with three_phase, since lr falls as long as it rises, got {chosen.pct_start:g}.",
        )
    if isinstance(chosen, scheduler.OneCycle | scheduler.Cyclic):
        if chosen.base_momentum > chosen.max_momentum:
            yield (
                ("scheduler", "base_momentum"),
                f"expected at most max_momentum, which is {chosen.max_momentum:g}, got {chosen.base_momentum:g}.",
            )
        if chosen.cycle_momentum and not {"momentum", "betas"} & set(type(config.optimizer).model_fields):
            yield ("scheduler", "cycle_momentum"), f"{config.optimizer.name} has no momentum. Remove it."
    lowest = {
        scheduler.CosineLr: "eta_min",
        scheduler.CosineRestarts: "eta_min",
        scheduler.Plateau: "min_lr",
    }.get(type(chosen))
    if lowest and getattr(chosen, lowest) > config.optimizer.lr:
        yield (
            ("scheduler", lowest),
            f"expected at most optimizer.lr, which is {config.optimizer.lr:g}, got {getattr(chosen, lowest):g}.",
        )
    milestones = list(getattr(chosen, "milestones", None) or ())
    if milestones != sorted(set(milestones)):
        yield ("scheduler", "milestones"), f"expected increasing numbers, got {milestones}."
