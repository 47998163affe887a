"""Rules of the model: blocks, initializers and activations, alone and combined with the data."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from nnzoo.config import activation, data, init, model
from nnzoo.config.choices import num_outputs, resolved_loss
from nnzoo.config.document import Path, Problem
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts


def model_rules(config: Config, facts: Facts) -> Iterator[Problem]:
    net = config.model
    if facts.layout is not None and facts.layout not in net.layouts:
        yield ("model",), f"{net.name} does not support {facts.layout} (it supports {', '.join(sorted(net.layouts))})."
    elif facts.layout == "image" and config.preprocess.pca and "features" not in net.layouts:
        yield ("preprocess", "pca"), f"pca flattens images, but {net.name} does not support features. Remove it."
    if isinstance(net, model.Torchvision) and net.pretrained is not None and net.weights is not None:
        yield (
            ("model", "weights"),
            "the checkpoint of `pretrained` would overwrite the weights of torchvision. Remove one of the two.",
        )
    yield from _freezing(config)
    if isinstance(net, model.Perceptron):
        if config.loss.name not in ("auto", "perceptron"):
            yield (
                ("loss",),
                f"a perceptron needs `loss: perceptron`, got {config.loss.name}. Use that, or `model: linear`.",
            )
        if facts.task not in (None, "classification"):
            yield ("model",), f"a perceptron is for classification, but this task is {facts.task}. Use `model: linear`."
    if isinstance(net, model.Mlp) and net.hidden is not None and net.layers is not None:
        yield ("model", "layers"), "`hidden` and `layers` both define the hidden layers. Remove one of the two."
    if _has_batch_norm(net):
        if config.train.batch_size == 1:
            yield ("train", "batch_size"), "batch_norm needs at least two samples per batch, got 1."
        if facts.num_train == 1:
            yield ("model",), "batch_norm needs at least two samples per batch, but the train split has 1."
    if isinstance(net, model.Cnn):
        yield from _blocks(net)
    if isinstance(net, model.Cnn | model.Recurrent) and facts.layout is not None:
        if facts.layout == "tokens" and net.embedding is None:
            yield ("model", "embedding"), "tokens need an embedding. Set its size, or auto."
        if facts.layout != "tokens" and isinstance(net.embedding, int):
            yield ("model", "embedding"), f"embeddings are for tokens, but this data is {facts.layout}. Remove it."
    yield from _positions(config, facts)
    if isinstance(net, model.ImageNet) and facts.layout == "image" and facts.input_shape:
        _, height, width = facts.input_shape
        if min(height, width) < net.smallest:
            yield (
                ("model",),
                f"{net.name} needs images of at least {net.smallest} x {net.smallest}, got {height} x {width}.",
            )


def _freezing(config: Config) -> Iterator[Problem]:
    """Checks `freeze_epochs`: its length, and that every frozen parameter is trained in the end."""
    net, path = config.model, ("model", "freeze_epochs")
    if len(net.frozen_epochs) != len(net.frozen):
        yield path, f"expected one number per pattern of `freeze`, {len(net.frozen)}, got {len(net.frozen_epochs)}."
    last = max((epochs for epochs in net.frozen_epochs if epochs is not None), default=0)
    if last >= config.train.epochs:
        yield (
            path,
            f"expected less than train.epochs, which is {config.train.epochs}, got {last}. To freeze parameters for "
            "the whole training, leave it out.",
        )


def _positions(config: Config, facts: Facts) -> Iterator[Problem]:
    """Checks that the model has an output for each target: per sample, or per step."""
    net = config.model
    if not isinstance(net, model.Recurrent):
        if facts.per == "step" and not isinstance(net, model.Custom):
            yield (
                ("model",),
                f"this data has one target per step, but {net.name} has one output per sample. Use rnn, lstm or gru.",
            )
    elif isinstance(config.data, data.Language) and net.bidirectional:
        yield (
            ("model", "bidirectional"),
            "a bidirectional network would read the tokens that it has to predict. Remove it.",
        )
    elif net.pooling == "none" and facts.per == "sample":
        yield (
            ("model", "pooling"),
            "none gives one output per step, but this data has one target per sample. Use last, mean or max.",
        )
    elif net.pooling not in ("auto", "none") and facts.per == "step":
        yield (
            ("model", "pooling"),
            f"{net.pooling} gives one output per sample, but this data has one target per step. Use none.",
        )


def _has_batch_norm(net: model.Model) -> bool:
    """Returns whether a model has batch norm."""
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
            yield ("model", "blocks", index), f"expected one of conv, pool and global_pool, got {got}."
        if block.conv and block.conv.padding == "same" and set(_each(block.conv.stride)) != {1}:
            yield (
                ("model", "blocks", index, "conv", "padding"),
                "same needs stride 1. Set a number, or set the stride to 1.",
            )
        rule = block.conv.init if block.conv else None
        if block.conv and isinstance(rule, init.Dirac) and block.conv.out_channels % rule.groups:
            yield (
                ("model", "blocks", index, "conv", "init", "groups"),
                f"expected a divisor of out_channels, which is {block.conv.out_channels}, got {rule.groups}.",
            )
        if block.pool and 2 * max(_each(block.pool.padding)) > max(_each(block.pool.kernel_size)):
            yield (
                ("model", "blocks", index, "pool", "padding"),
                "expected at most half of kernel_size, so that no window is all padding.",
            )


def _each(sizes: int | tuple[int, ...]) -> tuple[int, ...]:
    return (sizes,) if isinstance(sizes, int) else sizes


def initializer_rules(config: Config, facts: Facts) -> Iterator[Problem]:
    if isinstance(config.init, init.ValuesWeight):
        yield ("init",), "values are for a single layer. Move them to `init` of a layer, a convolution or `output`."
    for path, rule in _placed_initializers(config):
        kernels = "conv" in path or (path == ("init",) and _has_kernels(config.model))
        if isinstance(rule, init.Dirac) and not kernels:
            yield (
                path,
                f"dirac is for convolutions, but {config.model.name} has none. Did you mean 'eye'?",
            )
        if isinstance(rule, init.Eye) and "conv" in path:
            yield path, "eye is for matrices, but kernels have more axes. Did you mean 'dirac'?"
        if isinstance(rule, init.Whitening):
            yield from _whitening(config.model, path, facts)
        if isinstance(rule, init.Uniform | init.TruncNormal) and rule.a > rule.b:
            yield (*path, "a"), f"expected at most b, which is {rule.b:g}, got {rule.a:g}."
        if isinstance(rule, init.TruncNormal) and not rule.a - 2 * rule.std <= rule.mean <= rule.b + 2 * rule.std:
            yield (
                (*path, "mean"),
                f"expected a mean within two std of [{rule.a:g}, {rule.b:g}], got {rule.mean:g}.",
            )


def _whitening(net: model.Model, path: Path, facts: Facts) -> Iterator[Problem]:
    """Checks that filters can be computed from patches of images: those of the first convolution, which see pixels."""
    if path != ("model", "blocks", 0, "conv", "init") or not isinstance(net, model.Cnn):
        yield path, "whitening is for the first block of a cnn. Move it to `init` of that convolution, or use auto."
        return
    conv = net.blocks[0].conv
    assert conv is not None
    if facts.layout not in (None, "image"):
        yield path, f"whitening computes patches of images, but this data is {facts.layout}. Use auto."
    if conv.groups > 1:
        yield path, "whitening needs patches of all channels, but `groups` divides them. Remove one of the two."
    kernel, dilation = (
        _each(size) * (1 if isinstance(size, tuple) else 2) for size in (conv.kernel_size, conv.dilation)
    )
    if facts.layout != "image" or not facts.input_shape or (len(kernel), len(dilation)) != (2, 2):
        return
    channels, *sides = facts.input_shape
    if any(side <= step * (size - 1) for side, size, step in zip(sides, kernel, dilation, strict=True)):
        yield path, f"whitening needs images that are at least as large as the kernel, got {sides[0]} x {sides[1]}."
    chosen = conv.activation or net.activation
    pieces = chosen.num_pieces if isinstance(chosen, activation.Maxout) else 1
    most = 2 * channels * kernel[0] * kernel[1]
    if conv.out_channels * pieces > most:
        yield (
            ("model", "blocks", 0, "conv", "out_channels"),
            f"whitening has two filters per value of a patch, so expected at most {most // pieces}, got "
            f"{conv.out_channels}. Reduce it, or use a larger kernel.",
        )


def _has_kernels(net: model.Model) -> bool:
    return not isinstance(
        net, model.Perceptron | model.Linear | model.Mlp | model.Tabular | model.Recurrent | model.TreeNet
    )


def _placed_initializers(config: Config) -> Iterator[tuple[Path, object]]:
    """Yields every initializer of a config with its path, weights before biases."""
    placed: list[tuple[Path, object]] = [(("init",), config.init)]
    if isinstance(config.model, model.Mlp):
        layers = config.model.layers or ()
        placed += [(("model", "layers", index, "init"), layer.init) for index, layer in enumerate(layers)]
    if isinstance(config.model, model.Cnn):
        convolutions = [(index, block.conv) for index, block in enumerate(config.model.blocks) if block.conv]
        placed += [(("model", "blocks", index, "conv", "init"), conv.init) for index, conv in convolutions]
    output = model.output_of(config.model)
    if output is not None:
        placed.append((("model", "output", "init"), output.init))
    for path, rule in placed:
        yield path, rule
        if isinstance(rule, init.WithBias):
            yield (*path, "bias"), rule.bias


def activation_rules(config: Config, facts: Facts) -> Iterator[Problem]:
    for path, chosen, units in _placed_activations(config, facts):
        if isinstance(chosen, activation.Hardtanh) and chosen.min_val >= chosen.max_val:
            yield (
                (*path, "min_val"),
                f"expected less than max_val, which is {chosen.max_val:g}, got {chosen.min_val:g}.",
            )
        if isinstance(chosen, activation.Prelu) and units is not None and chosen.num_parameters not in (1, units):
            yield (
                (*path, "num_parameters"),
                f"expected 1, or the {units} units of the layer, got {chosen.num_parameters}.",
            )
        if isinstance(chosen, activation.Step) and path[1] == "output":
            yield (
                path,
                "step has a zero gradient, so the network would not learn. Use identity; `loss: perceptron` applies "
                "the step.",
            )
        elif isinstance(chosen, activation.Step) and not _is_frozen_below(config, path):
            yield (
                path,
                "step has a zero gradient, so the layers before it would not learn. Freeze them, or use sigmoid.",
            )


def _is_frozen_below(config: Config, path: Path) -> bool:
    """Returns whether `freeze` covers all layers before a hidden activation, or before its last use if it is shared."""
    net = config.model
    if not isinstance(net, model.Mlp):
        return False
    patterns = [each for each, epochs in zip(net.frozen, net.frozen_epochs, strict=False) if epochs is None]
    if "backbone" in patterns:
        return True
    num_layers = len(net.layers or net.hidden or model.DEFAULT_HIDDEN)
    last = path[2] if len(path) > 2 else num_layers - 1
    assert isinstance(last, int)
    names = [f"hidden.{index}.linear.{key}" for index in range(last + 1) for key in ("weight", "bias")]
    return all(any(fnmatchcase(name, pattern) for pattern in patterns) for name in names)


def _placed_activations(config: Config, facts: Facts) -> Iterator[tuple[Path, object, int | None]]:
    """Yields path, activation and number of units (None if unknown) of every layer."""
    net = config.model
    if isinstance(net, model.Mlp):
        hidden = model.DEFAULT_HIDDEN if net.hidden is None else net.hidden
        layers = tuple(model.Layer(units=units) for units in hidden) if net.layers is None else net.layers
        for index, layer in enumerate(layers):
            if layer.activation is None:
                yield ("model", "activation"), net.activation, layer.units
            else:
                yield ("model", "layers", index, "activation"), layer.activation, layer.units
    if isinstance(net, model.Tabular):
        for units in net.hidden:
            yield ("model", "activation"), net.activation, units
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
