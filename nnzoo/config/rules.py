"""Rules across sections: combinations that can't work are refused here, each with its reason and the fix.

They run twice: on what the words tell, before any data is read, and again on what the data itself tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnzoo.config import activation, data, init, loss, model, optimizer, scheduler
from nnzoo.config.base import LARGEST
from nnzoo.config.document import Path
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts
from nnzoo.config.metrics import DEFAULT_METRICS, METRICS, direction
from nnzoo.config.suggest import did_you_mean

Problem = tuple[Path, str]

_PROBABILITIES = ("softmax", "log_softmax", "sigmoid")


def check(config: Config, facts: Facts) -> list[Problem]:
    """All problems of a config, each with the path of the key to change."""
    rules = (
        _data,
        _preprocess,
        _model,
        _initializers,
        _activations,
        _loss,
        _output,
        _metrics,
        _monitor,
        _optimizer,
        _scheduler,
    )
    return [problem for rule in rules for problem in rule(config, facts)]


def _data(config: Config, facts: Facts) -> Iterator[Problem]:
    source = config.data
    if source.split.val + source.split.test >= 1:
        yield ("data", "split"), f"val {source.split.val} and test {source.split.test} leave nothing to train on."
    if isinstance(source, data.Gate) and source.samples is None:
        if source.noise:
            yield ("data", "noise"), "the four rows are exact. Give `samples` to draw noisy copies of them."
        # A config that was written out whole holds the default shares.
        if source.split not in (data.Split(), data.Split(val=0, test=0)):
            yield ("data", "split"), "the four rows are not divided. Give `samples`, or leave `split` out."
    if isinstance(source, data.Random):
        if source.classes and source.targets:
            yield ("data", "targets"), "a sample has either classes or regression targets. Give one of the two."
        if facts.layout is None:
            yield ("data", "shape"), f"expected one to three sizes: [F], [T, F] or [C, H, W], got {len(source.shape)}."


def _preprocess(config: Config, facts: Facts) -> Iterator[Problem]:
    steps = config.preprocess
    if steps.pca and steps.zca:
        yield (
            ("preprocess", "zca"),
            "pca and zca both rotate the inputs. Choose one; `pca: {whiten: true}` whitens too.",
        )
    if steps.pca and facts.input_shape and facts.layout in ("features", "sequence", "image"):
        columns = math.prod(facts.input_shape) if facts.layout == "image" else facts.input_shape[-1]
        if steps.pca.n_components > columns:
            yield (
                ("preprocess", "pca", "n_components"),
                f"expected at most {columns}, one a column of the inputs, got {steps.pca.n_components}.",
            )
    if facts.layout == "tokens" and (steps.normalize not in ("auto", "none") or steps.pca or steps.zca):
        yield ("preprocess",), "tokens are names, not amounts: they can't be normalized or rotated. Leave it out."
    if steps.scale_target is True and facts.task in ("classification", "multilabel"):
        yield ("preprocess", "scale_target"), "classes have no scale. It is for regression."


def _model(config: Config, facts: Facts) -> Iterator[Problem]:
    net = config.model
    if facts.layout is not None and facts.layout not in net.layouts:
        yield ("model",), f"{net.name} can't read {facts.layout} (it reads {', '.join(sorted(net.layouts))})."
    if isinstance(net, model.Mlp):
        if net.hidden is not None and net.layers is not None:
            yield ("model", "layers"), "`hidden` and `layers` both name the hidden layers. Keep one of the two."
        norms = [layer.batch_norm for layer in net.layers or () if layer.batch_norm is not None]
        if config.train.batch_size == 1 and (net.batch_norm or any(norms)):
            yield ("train", "batch_size"), "batch_norm needs at least two samples a batch, got 1."
        if facts.num_train == 1 and (net.batch_norm or any(norms)):
            yield ("model",), "batch_norm needs at least two samples a batch, and the train split has 1."


def _initializers(config: Config, facts: Facts) -> Iterator[Problem]:  # noqa: ARG001
    if isinstance(config.init, init.ValuesWeight):
        yield ("init",), "values belong to one layer: write them in `init` of a layer or of `output`."
    for path, rule in _placed_initializers(config):
        if isinstance(rule, init.Dirac) and isinstance(config.model, model.Linear | model.Mlp):
            yield path, f"dirac fills the kernels of convolutions; {config.model.name} has none. Did you mean 'eye'?"
        if isinstance(rule, init.Uniform | init.TruncNormal) and rule.a > rule.b:
            yield (*path, "a"), f"expected no more than b, which is {rule.b:g}, got {rule.a:g}."
        if isinstance(rule, init.TruncNormal) and not rule.a - 2 * rule.std <= rule.mean <= rule.b + 2 * rule.std:
            yield (*path, "mean"), f"expected at most two std outside [{rule.a:g}, {rule.b:g}], got {rule.mean:g}."


def _placed_initializers(config: Config) -> Iterator[tuple[Path, object]]:
    """Every initializer of a config with its path, those of biases after that of their weights."""
    placed: list[tuple[Path, object]] = [(("init",), config.init)]
    if isinstance(config.model, model.Mlp):
        layers = config.model.layers or ()
        placed += [(("model", "layers", index, "init"), layer.init) for index, layer in enumerate(layers)]
    if isinstance(config.model, model.Linear | model.Mlp):
        placed.append((("model", "output", "init"), config.model.output.init))
    for path, rule in placed:
        yield path, rule
        if isinstance(rule, init.WithBias):
            yield (*path, "bias"), rule.bias


def _activations(config: Config, facts: Facts) -> Iterator[Problem]:
    for path, chosen, units in _placed_activations(config, facts):
        if isinstance(chosen, activation.Hardtanh) and chosen.min_val >= chosen.max_val:
            yield (
                (*path, "min_val"),
                f"expected less than max_val, which is {chosen.max_val:g}, got {chosen.min_val:g}.",
            )
        if isinstance(chosen, activation.Prelu) and units is not None and chosen.num_parameters not in (1, units):
            yield (
                (*path, "num_parameters"),
                f"expected 1, or {units} as the layer has units, got {chosen.num_parameters}.",
            )


def _placed_activations(config: Config, facts: Facts) -> Iterator[tuple[Path, object, int | None]]:
    """The activation of every layer: its path, and the layer's units if they are known."""
    net = config.model
    if isinstance(net, model.Mlp):
        hidden = model.DEFAULT_HIDDEN if net.hidden is None else net.hidden
        layers = tuple(model.Layer(units=units) for units in hidden) if net.layers is None else net.layers
        for index, layer in enumerate(layers):
            if layer.activation is None:
                yield ("model", "activation"), net.activation, layer.units
            else:
                yield ("model", "layers", index, "activation"), layer.activation, layer.units
    if isinstance(net, model.Linear | model.Mlp):
        chosen = resolved_loss(config, facts)
        units = num_outputs(chosen, facts) if chosen else None
        yield ("model", "output", "activation"), net.output.activation, units


def _loss(config: Config, facts: Facts) -> Iterator[Problem]:
    chosen = config.loss
    if facts.task and facts.task not in chosen.tasks:
        fitting = [name for name, tasks in _losses() if facts.task in tasks]
        yield (
            ("loss",),
            f"{chosen.name} is not for {facts.task}, which this data is. Fitting: {', '.join(fitting)}.",
        )
    if isinstance(chosen, loss.CrossEntropy) and isinstance(chosen.class_weights, tuple) and facts.num_classes:
        given = len(chosen.class_weights)
        if given != facts.num_classes:
            yield ("loss", "class_weights"), f"expected {facts.num_classes} numbers, one a class, got {given}."


def _losses() -> Iterator[tuple[str, frozenset[str]]]:
    from nnzoo.config.base import members

    for name, member in members(loss.LossSection).items():
        if issubclass(member, loss.Loss) and name not in ("auto", "mae"):
            yield name, member.tasks


def _output(config: Config, facts: Facts) -> Iterator[Problem]:
    if not isinstance(config.model, model.Linear | model.Mlp):
        return
    ending = config.model.output.activation.name
    path: Path = ("model", "output", "activation")
    chosen = resolved_loss(config, facts)
    if chosen is None or ending not in _PROBABILITIES:
        return
    if chosen.reads == "margins":
        yield path, f"{chosen.name} reads margins of either sign, not the probabilities of {ending}. Use identity."
    elif chosen.name == "cross_entropy" and ending == "sigmoid":
        yield (
            path,
            "cross_entropy needs probabilities that sum to 1, sigmoid's do not. Use softmax, identity or `loss: bce`.",
        )
    elif chosen.name == "bce" and (ending == "log_softmax" or (ending == "softmax" and facts.task == "multilabel")):
        yield path, f"bce asks one yes or no of each output, {ending} ties them together. Use sigmoid or identity."
    elif chosen.reads == "values" and ending == "log_softmax":
        yield (
            path,
            f"{chosen.name} compares outputs with their targets; log_softmax is never above 0. Use softmax.",
        )
    elif ending == "softmax" and num_outputs(chosen, facts) == 1:
        yield path, "there is one output unit, and softmax over one is always 1. Use sigmoid or identity."


def _metrics(config: Config, facts: Facts) -> Iterator[Problem]:
    if facts.task is None or config.train.metrics == "auto":
        return
    for index, name in enumerate(config.train.metrics):
        if name in config.train.metrics[:index]:
            yield ("train", "metrics", index), f"{name} stands here twice."
        if facts.task not in METRICS[name].tasks:
            fitting = [metric for metric, known in METRICS.items() if facts.task in known.tasks]
            yield (
                ("train", "metrics", index),
                f"{name} is not for {facts.task}, which this data is. Fitting: {', '.join(fitting)}.",
            )


def _monitor(config: Config, facts: Facts) -> Iterator[Problem]:
    monitor = config.train.monitor
    measured = "loss" if monitor == "auto" else monitor.partition("/")[2]
    if config.train.mode != "auto" and measured in ("loss", *METRICS) and config.train.mode != direction(measured):
        yield (
            ("train", "mode"),
            f"{config.train.mode} would keep the worst weights by {measured}. Use auto, or `monitor` something else.",
        )
    if monitor == "auto":
        return
    given = config.train.metrics
    by_default = DEFAULT_METRICS[facts.task] if facts.task else METRICS
    splits = ["train"] if facts.has_val is False else ["val", "train"]
    allowed = [f"{split}/{name}" for split in splits for name in ("loss", *(by_default if given == "auto" else given))]
    if monitor not in allowed:
        why = " There is no val split." if facts.has_val is False and monitor.startswith("val/") else ""
        yield (
            ("train", "monitor"),
            f"'{monitor}' is not measured in this run.{why}{did_you_mean(monitor, allowed)} ({', '.join(allowed)})",
        )


def _optimizer(config: Config, facts: Facts) -> Iterator[Problem]:  # noqa: ARG001
    chosen = config.optimizer
    if isinstance(chosen, optimizer.Sgd) and chosen.nesterov and (not chosen.momentum or chosen.dampening):
        yield ("optimizer", "nesterov"), "nesterov needs momentum > 0 and dampening 0."
    penalties = {("regularization", "l1"): config.regularization.l1, ("optimizer", "weight_decay"): chosen.weight_decay}
    for path, penalty in penalties.items():
        if penalty * chosen.lr > LARGEST:
            yield path, f"times optimizer.lr ({chosen.lr:g}) it is too large for float32, got {penalty:g}."


def _scheduler(config: Config, facts: Facts) -> Iterator[Problem]:  # noqa: ARG001
    chosen = config.scheduler
    if chosen.warmup_epochs and chosen.warmup_epochs >= config.train.epochs:
        yield (
            ("scheduler", "warmup_epochs"),
            f"{chosen.warmup_epochs} epochs of warm-up leave nothing of train.epochs ({config.train.epochs}).",
        )
    if isinstance(chosen, scheduler.Plateau) and chosen.interval == "step":
        yield (
            ("scheduler", "interval"),
            "plateau follows the monitor, which is measured once an epoch. Use `interval: epoch`.",
        )
    lowest = {scheduler.CosineLr: "eta_min", scheduler.Plateau: "min_lr"}.get(type(chosen))
    if lowest and getattr(chosen, lowest) > config.optimizer.lr:
        yield (
            ("scheduler", lowest),
            f"expected no more than optimizer.lr, which is {config.optimizer.lr:g}, got {getattr(chosen, lowest):g}.",
        )
    if isinstance(chosen, scheduler.MultiStepLr) and list(chosen.milestones) != sorted(set(chosen.milestones)):
        yield ("scheduler", "milestones"), f"expected rising numbers, got {list(chosen.milestones)}."


def resolved_loss(config: Config, facts: Facts) -> loss.Loss | None:
    """The loss with `auto` replaced by what the task asks for; None while the task is not known."""
    if not isinstance(config.loss, loss.AutoLoss):
        return config.loss
    reduction = config.loss.reduction
    match facts.task:
        case "classification":
            return loss.CrossEntropy(name="cross_entropy", reduction=reduction)
        case "multilabel":
            return loss.Bce(name="bce", reduction=reduction)
        case "regression":
            return loss.Mse(name="mse", reduction=reduction)
    return None


def num_outputs(chosen: loss.Loss, facts: Facts) -> int | None:
    """Output units: one a class, label or target; for two classes as many as the loss asks for. None: not known yet."""
    if facts.task == "regression":
        return facts.num_targets
    if facts.task == "classification" and facts.num_classes == 2:
        return chosen.binary_units
    return facts.num_classes or None
