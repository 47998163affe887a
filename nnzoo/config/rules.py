"""Rules across sections: combinations that can't work are refused here, each with its reason and the fix.

They run twice: on what the words tell, before any data is read, and again on what the data itself tells.
"""

from __future__ import annotations

from collections.abc import Iterator

from nnzoo.config import data, init, loss, model, optimizer, scheduler
from nnzoo.config.document import Path
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts
from nnzoo.config.metrics import DEFAULT_METRICS, METRICS
from nnzoo.config.suggest import did_you_mean

Problem = tuple[Path, str]

_PROBABILITIES = ("softmax", "log_softmax", "sigmoid")


def check(config: Config, facts: Facts) -> list[Problem]:
    """All problems of a config, each with the path of the key to change."""
    rules = (_data, _preprocess, _model, _initializers, _loss, _output, _metrics, _monitor, _optimizer, _scheduler)
    return [problem for rule in rules for problem in rule(config, facts)]


def _data(config: Config, facts: Facts) -> Iterator[Problem]:
    source = config.data
    if source.split.val + source.split.test >= 1:
        yield ("data", "split"), f"val {source.split.val} and test {source.split.test} leave nothing to train on."
    if isinstance(source, data.Gate) and source.samples is None:
        if source.noise:
            yield ("data", "noise"), "the four rows are exact. Give `samples` to draw noisy copies of them."
        if "split" in source.model_fields_set and (source.split.val or source.split.test):
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


def _initializers(config: Config, facts: Facts) -> Iterator[Problem]:  # noqa: ARG001
    chosen: list[tuple[Path, object]] = [(("init",), config.init)]
    if isinstance(config.init, init.ValuesWeight):
        yield ("init",), "values belong to one layer: write them in `init` of a layer or of `output`."
    if isinstance(config.model, model.Linear | model.Mlp):
        chosen.append((("model", "output", "init"), config.model.output.init))
    if isinstance(config.model, model.Mlp):
        layers = config.model.layers or ()
        chosen += [(("model", "layers", index, "init"), layer.init) for index, layer in enumerate(layers)]
    for path, rule in chosen:
        if isinstance(rule, init.Dirac) and isinstance(config.model, model.Linear | model.Mlp):
            yield path, f"dirac fills the kernels of convolutions; {config.model.name} has none. Did you mean 'eye'?"


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
    activation = config.model.output.activation.name
    path: Path = ("model", "output", "activation")
    chosen = resolved_loss(config, facts)
    if chosen is None or activation not in _PROBABILITIES:
        return
    if chosen.reads == "margins":
        yield path, f"{chosen.name} reads margins of either sign, not the probabilities of {activation}. Use identity."
    elif chosen.name == "cross_entropy" and activation == "sigmoid":
        yield (
            path,
            "cross_entropy needs probabilities that sum to 1, sigmoid's do not. Use softmax, identity or `loss: bce`.",
        )
    elif chosen.name == "bce" and (
        activation == "log_softmax" or (activation == "softmax" and facts.task == "multilabel")
    ):
        yield path, f"bce asks one yes or no of each output, {activation} ties them together. Use sigmoid or identity."
    elif chosen.reads == "values" and activation == "log_softmax":
        yield (
            path,
            f"{chosen.name} compares outputs with their targets; log_softmax is never above 0. Use softmax.",
        )
    elif activation == "softmax" and num_outputs(chosen, facts) == 1:
        yield path, "there is one output unit, and softmax over one is always 1. Use sigmoid or identity."


def _metrics(config: Config, facts: Facts) -> Iterator[Problem]:
    if facts.task is None or config.train.metrics == "auto":
        return
    for index, name in enumerate(config.train.metrics):
        if facts.task not in METRICS[name].tasks:
            fitting = [metric for metric, known in METRICS.items() if facts.task in known.tasks]
            yield (
                ("train", "metrics", index),
                f"{name} is not for {facts.task}, which this data is. Fitting: {', '.join(fitting)}.",
            )


def _monitor(config: Config, facts: Facts) -> Iterator[Problem]:
    monitor = config.train.monitor
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
