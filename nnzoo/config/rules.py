"""Rules across sections: combinations that can't work are refused here, each with its reason and the fix.

They run twice: on what the words tell, before any data is read, and again on what the data itself tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase

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
    elif facts.layout == "image" and config.preprocess.pca and "features" not in net.layouts:
        yield ("preprocess", "pca"), f"pca flattens images, and {net.name} can't read features. Leave it out."
    if isinstance(net, model.Perceptron):
        if config.loss.name not in ("auto", "perceptron"):
            yield ("loss",), f"a perceptron learns by `loss: perceptron`, got {config.loss.name}. Use linear with it."
        if facts.task not in (None, "classification"):
            yield ("model",), f"a perceptron answers yes or no, and this data is {facts.task}. Use linear."
    if isinstance(net, model.Mlp) and net.hidden is not None and net.layers is not None:
        yield ("model", "layers"), "`hidden` and `layers` both name the hidden layers. Keep one of the two."
    if _has_batch_norm(net):
        if config.train.batch_size == 1:
            yield ("train", "batch_size"), "batch_norm needs at least two samples a batch, got 1."
        if facts.num_train == 1:
            yield ("model",), "batch_norm needs at least two samples a batch, and the train split has 1."
    if isinstance(net, model.Cnn):
        yield from _blocks(net)
    if isinstance(net, model.Cnn | model.Recurrent) and facts.layout is not None:
        if facts.layout == "tokens" and net.embedding is None:
            yield ("model", "embedding"), "tokens are names, not amounts: give the size of their vectors, or auto."
        if facts.layout != "tokens" and isinstance(net.embedding, int):
            yield ("model", "embedding"), f"it is for tokens, and this data is {facts.layout}. Leave it out."
    if isinstance(net, model.Recurrent) and net.pooling == "none":
        yield (
            ("model", "pooling"),
            "none gives an output at every step, and this data has one target a sample. Use last, mean or max.",
        )
    if isinstance(net, model.ImageNet) and facts.layout == "image" and facts.input_shape:
        _, height, width = facts.input_shape
        if min(height, width) < net.smallest:
            yield (
                ("model",),
                f"{net.name} needs images of at least {net.smallest} x {net.smallest}, got {height} x {width}.",
            )


def _has_batch_norm(net: model.Model) -> bool:
    """As far as the words tell."""
    if isinstance(net, model.Mlp):
        return net.batch_norm or any(layer.batch_norm for layer in net.layers or ())
    if isinstance(net, model.Cnn):
        return any(block.conv is not None and block.conv.batch_norm for block in net.blocks)
    return isinstance(net, model.CifarResNet) or (isinstance(net, model.Vgg) and net.name.endswith("_bn"))


def _blocks(net: model.Cnn) -> Iterator[Problem]:
    for index, block in enumerate(net.blocks):
        given = [key for key in model.Block.model_fields if getattr(block, key) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "nothing"
            yield ("model", "blocks", index), f"a block is one of conv, pool and global_pool, got {got}."
        if block.conv and block.conv.padding == "same" and set(_each(block.conv.stride)) != {1}:
            yield (
                ("model", "blocks", index, "conv", "padding"),
                "same keeps the size, a stride does not. Give a number.",
            )
        if block.pool and 2 * max(_each(block.pool.padding)) > max(_each(block.pool.kernel_size)):
            yield ("model", "blocks", index, "pool", "padding"), "expected at most half of kernel_size."


def _each(sizes: int | tuple[int, ...]) -> tuple[int, ...]:
    return (sizes,) if isinstance(sizes, int) else sizes


def _initializers(config: Config, facts: Facts) -> Iterator[Problem]:  # noqa: ARG001
    if isinstance(config.init, init.ValuesWeight):
        yield ("init",), "values belong to one layer: write them in `init` of a layer or of `output`."
    for path, rule in _placed_initializers(config):
        if isinstance(rule, init.Dirac) and (path[0] != "init" or not _has_kernels(config.model)):
            yield path, f"dirac fills the kernels of convolutions; {config.model.name} has none. Did you mean 'eye'?"
        if isinstance(rule, init.Uniform | init.TruncNormal) and rule.a > rule.b:
            yield (*path, "a"), f"expected no more than b, which is {rule.b:g}, got {rule.a:g}."
        if isinstance(rule, init.TruncNormal) and not rule.a - 2 * rule.std <= rule.mean <= rule.b + 2 * rule.std:
            yield (*path, "mean"), f"expected at most two std outside [{rule.a:g}, {rule.b:g}], got {rule.mean:g}."


def _has_kernels(net: model.Model) -> bool:
    return not isinstance(net, model.Perceptron | model.Linear | model.Mlp | model.Recurrent)


def _placed_initializers(config: Config) -> Iterator[tuple[Path, object]]:
    """Every initializer of a config with its path, those of biases after that of their weights."""
    placed: list[tuple[Path, object]] = [(("init",), config.init)]
    if isinstance(config.model, model.Mlp):
        layers = config.model.layers or ()
        placed += [(("model", "layers", index, "init"), layer.init) for index, layer in enumerate(layers)]
    output = model.output_of(config.model)
    if output is not None:
        placed.append((("model", "output", "init"), output.init))
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
        if isinstance(chosen, activation.Step) and path[1] == "output":
            yield path, "no gradient passes a step: nothing would learn. `loss: perceptron` steps itself; use identity."
        elif isinstance(chosen, activation.Step) and not _is_frozen_below(config, path):
            yield path, "no gradient passes a step: what comes before it would not learn. Freeze that, or use sigmoid."


def _is_frozen_below(config: Config, path: Path) -> bool:
    """Whether `freeze` covers the layer of a hidden activation, or all that share it, and the layers before."""
    net = config.model
    if not isinstance(net, model.Mlp):
        return False
    if "backbone" in (patterns := (net.freeze,) if isinstance(net.freeze, str) else net.freeze):
        return True
    num_layers = len(net.layers or net.hidden or model.DEFAULT_HIDDEN)
    last = path[2] if len(path) > 2 else num_layers - 1
    assert isinstance(last, int)
    names = [f"hidden.{index}.linear.{key}" for index in range(last + 1) for key in ("weight", "bias")]
    return all(any(fnmatchcase(name, pattern) for pattern in patterns) for name in names)


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
    if isinstance(net, model.Cnn):
        for units in net.head:
            yield ("model", "activation"), net.activation, units
        for index, block in enumerate(net.blocks):
            if block.conv is not None and block.conv.activation is None:
                yield ("model", "activation"), net.activation, block.conv.out_channels
            elif block.conv is not None:
                path = ("model", "blocks", index, "conv", "activation")
                yield path, block.conv.activation, block.conv.out_channels
    output = model.output_of(net)
    if output is not None:
        chosen = resolved_loss(config, facts)
        last = num_outputs(chosen, facts) if chosen else None
        yield ("model", "output", "activation"), output.activation, last


def _loss(config: Config, facts: Facts) -> Iterator[Problem]:
    chosen = config.loss
    if facts.task and facts.task not in chosen.tasks:
        fitting = [name for name, tasks in _losses() if facts.task in tasks]
        yield (
            ("loss",),
            f"{chosen.name} is not for {facts.task}, which this data is. Fitting: {', '.join(fitting)}.",
        )
    if isinstance(chosen, loss.WeightedLoss) and isinstance(chosen.class_weights, tuple) and facts.num_classes:
        given = len(chosen.class_weights)
        if given != facts.num_classes:
            yield ("loss", "class_weights"), f"expected {facts.num_classes} numbers, one a class, got {given}."


def _losses() -> Iterator[tuple[str, frozenset[str]]]:
    from nnzoo.config.base import members

    for name, member in members(loss.LossSection).items():
        if issubclass(member, loss.Loss) and name not in ("auto", "mae"):
            yield name, member.tasks


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
        yield path, f"{chosen.name} reads margins of either sign, not the probabilities of {ending}. Use identity."
    elif chosen.reads == "logits" and chosen.name != "bce" and ending == "sigmoid":
        yield (
            path,
            f"{chosen.name} needs probabilities that sum to 1, sigmoid's do not. Use softmax, identity or `loss: bce`.",
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
        if name == "top5_accuracy" and facts.task == "classification" and facts.num_classes and facts.num_classes <= 5:
            yield ("train", "metrics", index), f"of {facts.num_classes} classes the right one is always among five."
        if name == "perplexity" and config.loss.reads == "margins":
            yield (
                ("train", "metrics", index),
                f"{config.loss.name} gives no probabilities. Use `loss: cross_entropy`, or another metric.",
            )
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
    if isinstance(chosen, optimizer.Rprop) and not chosen.etas[0] < 1 < chosen.etas[1]:
        yield ("optimizer", "etas"), f"expected one below 1 and one above it, got {list(chosen.etas)}."
    if isinstance(chosen, optimizer.Rprop) and chosen.step_sizes[0] > chosen.step_sizes[1]:
        yield ("optimizer", "step_sizes"), f"expected the smallest first, got {list(chosen.step_sizes)}."
    if isinstance(chosen, optimizer.Lbfgs) and config.regularization.l1:
        yield (
            ("regularization", "l1"),
            "its proximal step fits gradient steps, and those of lbfgs are others. Use `l2`, or another optimizer.",
        )
    if isinstance(chosen, optimizer.Lbfgs) and config.train.clip_grad_norm is not None:
        yield (
            ("train", "clip_grad_norm"),
            "lbfgs needs the gradients of the loss as they are. Leave it out, or use another optimizer.",
        )
    penalties = {
        ("regularization", "l1"): config.regularization.l1,
        ("optimizer", "weight_decay"): getattr(chosen, "weight_decay", 0.0),
    }
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
    if isinstance(chosen, scheduler.Cyclic) and chosen.base_lr > (chosen.max_lr or config.optimizer.lr):
        highest = f"max_lr, which is {chosen.max_lr:g}" if chosen.max_lr else f"optimizer.lr, {config.optimizer.lr:g}"
        yield ("scheduler", "base_lr"), f"expected no more than {highest}, got {chosen.base_lr:g}."
    if isinstance(chosen, scheduler.OneCycle) and chosen.three_phase and chosen.pct_start > 0.5:
        yield ("scheduler", "pct_start"), f"the fall takes as long, so expected at most 0.5, got {chosen.pct_start:g}."
    if isinstance(chosen, scheduler.OneCycle | scheduler.Cyclic):
        if chosen.base_momentum > chosen.max_momentum:
            yield (
                ("scheduler", "base_momentum"),
                f"expected no more than max_momentum, which is {chosen.max_momentum:g}, got {chosen.base_momentum:g}.",
            )
        if chosen.cycle_momentum and not {"momentum", "betas"} & set(type(config.optimizer).model_fields):
            yield ("scheduler", "cycle_momentum"), f"{config.optimizer.name} has no momentum. Leave it out."
    lowest = {
        scheduler.CosineLr: "eta_min",
        scheduler.CosineRestarts: "eta_min",
        scheduler.Plateau: "min_lr",
    }.get(type(chosen))
    if lowest and getattr(chosen, lowest) > config.optimizer.lr:
        yield (
            ("scheduler", lowest),
            f"expected no more than optimizer.lr, which is {config.optimizer.lr:g}, got {getattr(chosen, lowest):g}.",
        )
    if isinstance(chosen, scheduler.MultiStepLr) and list(chosen.milestones) != sorted(set(chosen.milestones)):
        yield ("scheduler", "milestones"), f"expected rising numbers, got {list(chosen.milestones)}."


def has_momentum(chosen: optimizer.OptimizerSection) -> bool:
    """Whether an optimizer keeps a share of its last steps."""
    return hasattr(chosen, "betas") or bool(getattr(chosen, "momentum", 0))


def resolved_loss(config: Config, facts: Facts) -> loss.Loss | None:
    """The loss with `auto` replaced by what the task asks for; None while the task is not known."""
    if not isinstance(config.loss, loss.AutoLoss):
        return config.loss
    reduction = config.loss.reduction
    if isinstance(config.model, model.Perceptron):
        return loss.Perceptron(name="perceptron", reduction=reduction)
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
