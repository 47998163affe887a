"""Builds an initialised nn.Module from the model section."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from torch import nn

from nnzoo.builders.data import build_dataset, facts_of
from nnzoo.builders.parameters import prepare_model
from nnzoo.config import Config, Facts, check_facts, num_outputs, resolve
from nnzoo.config import activation as activations
from nnzoo.config import model as model_config
from nnzoo.config.auto_model import with_auto_model
from nnzoo.config.base import fields_of
from nnzoo.config.choices import changed_features
from nnzoo.config.document import Path
from nnzoo.config.load import problems_of
from nnzoo.data.reader import Per
from nnzoo.errors import ConfigError, UsageError
from nnzoo.models import MLP, HiddenLayer
from nnzoo.models.activations import Maxout, Step
from nnzoo.models.alexnet import alexnet
from nnzoo.models.blocks import ConvLayer, GlobalPool, Layer, PoolLayer
from nnzoo.models.cifar_resnet import CifarResNet
from nnzoo.models.cnn import CNN
from nnzoo.models.kernel import KernelMachine
from nnzoo.models.lenet import lenet5
from nnzoo.models.recurrent import RecurrentNet
from nnzoo.models.relative_forecast import RelativeForecast
from nnzoo.models.tabular import TabularNet
from nnzoo.models.torchvision_nets import torchvision_net
from nnzoo.models.trees import RecursiveNet, TreeLSTM
from nnzoo.models.vgg import vgg

ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
    "hardtanh": nn.Hardtanh,
    "softmax": lambda: nn.Softmax(dim=1),
    "log_softmax": lambda: nn.LogSoftmax(dim=1),
    "maxout": Maxout,
    "step": Step,
}


START = ("pretrained", "freeze", "freeze_epochs")
"""Fields of every model that are not arguments of the network."""


def build_activation(section: activations.Activation | None) -> nn.Module | None:
    """Builds an activation; returns None for identity."""
    if section is None or section.name == "identity":
        return None
    return ACTIVATIONS[section.name](**fields_of(section))


class NetworkShape(NamedTuple):
    """The input and output sizes that a network is built for.

    Attributes:
        input_shape: The shape of one sample after preprocessing, without the batch axis.
        num_outputs: The number of output units.
        num_tokens: The size of the vocabulary; 0 if the inputs are not tokens.
        per: Whether there is one output per sample, per step of a sequence, or per node of a tree.
        one_hot: The ranges (start, stop) of features that are 0 or 1.
    """

    input_shape: tuple[int, ...]
    num_outputs: int
    num_tokens: int = 0
    per: Per = "sample"
    one_hot: tuple[tuple[int, int], ...] = ()


def build_model(
    config: Config,
    input_shape: Sequence[int] | None = None,
    num_outputs: int | None = None,
    num_tokens: int | None = None,
    per: Per | None = None,
    one_hot: tuple[tuple[int, int], ...] = (),
    *,
    download: bool = True,
) -> nn.Module:
    """Builds the network of a config, initialises it with torch's global generator, and freezes parameters.

    Args:
        config: The config; a custom model cannot be built.
        input_shape: The shape of one sample after preprocessing, without the batch axis; by default, that of the data.
        num_outputs: The number of output units; by default, as the data and the loss require.
        num_tokens: The size of the vocabulary, 0 if the inputs are not tokens; by default, that of the data.
        per: Whether there is one output per sample, step or node; by default, as in the data, or per sample if the
            shape is given.
        one_hot: The ranges (start, stop) of features that are 0 or 1; by default, those of the data, or none if the
            shape is given.
        download: Whether to download pretrained weights; not needed if other weights are loaded next.

    Raises:
        ConfigError: Initial values, blocks or a pattern of the config do not fit the network.
    """
    reads_tokens = {"tokens", "tree"} & config.model.layouts
    may_read_tokens = reads_tokens and (input_shape is None or len(input_shape) == 1 or reads_tokens == {"tree"})
    if input_shape is None or num_outputs is None or (num_tokens is None and may_read_tokens):
        default = network_shape(config)
        num_tokens = default.num_tokens if num_tokens is None else num_tokens
        per = per or default.per
        one_hot = one_hot or default.one_hot if input_shape is None else one_hot
        input_shape, num_outputs = input_shape or default.input_shape, num_outputs or default.num_outputs
    shape = NetworkShape(tuple(input_shape), num_outputs, num_tokens or 0, per or "sample", one_hot)
    try:
        module = _build_network(config.model, shape, download=download)
    except ConfigError:
        raise
    except UsageError as error:
        if not error.where.startswith("model"):
            raise
        raise problems_of(config, [(_path(error.where), error.message)]) from None
    prepare_model(config, module)
    columns = changed_features(config)
    return module if columns is None else RelativeForecast(module, columns, num_features=shape.input_shape[-1])


def _path(where: str) -> Path:
    """Splits a path such as `model.blocks[2].conv` into keys."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"\w+", where))


def _build_network(section: model_config.Model, shape: NetworkShape, *, download: bool) -> nn.Module:
    layout = "tokens" if shape.num_tokens else "numbers"
    section = model_config.choose(section, layout, shape.num_tokens, shape.per)
    sizes: dict[str, Any] = {"input_shape": shape.input_shape, "out_features": shape.num_outputs}
    match section:
        case model_config.Perceptron():
            return MLP(math.prod(shape.input_shape), shape.num_outputs)
        case model_config.Linear(kernel="rbf"):
            return KernelMachine(
                math.prod(shape.input_shape),
                shape.num_outputs,
                n_components=section.n_components,
                gamma=section.gamma,
                output_activation=build_activation(section.output.activation),
                output_bias=section.output.bias,
            )
        case model_config.Linear() | model_config.Mlp():
            return MLP(
                math.prod(shape.input_shape),
                shape.num_outputs,
                hidden=_hidden_layers(section),
                output_activation=build_activation(section.output.activation),
                output_bias=section.output.bias,
            )
        case model_config.Tabular():
            return _build_tabular(section, shape)
        case model_config.Cnn():
            return _build_cnn(section, shape)
        case model_config.Recurrent():
            return _build_recurrent(section, shape)
        case model_config.Recursive() | model_config.TreeLstm():
            kind = RecursiveNet if isinstance(section, model_config.Recursive) else TreeLSTM
            return kind(shape.num_tokens, shape.num_outputs, **fields_of(section, *START))
        case model_config.LeNet5():
            return lenet5(**sizes)
        case model_config.AlexNet():
            return alexnet(**sizes, dropout=section.dropout)
        case model_config.Vgg():
            depth, _, norm = section.name.removeprefix("vgg").partition("_")
            return vgg(depth=int(depth), batch_norm=bool(norm), dropout=section.dropout, **sizes)
        case model_config.CifarResNet():
            return CifarResNet(depth=int(section.name.removeprefix("resnet")), **sizes)
        case model_config.Torchvision():
            return torchvision_net(section.arch, weights=section.weights, download=download, **sizes)
    raise UsageError(
        "the config has a custom model, which cannot be built from it. Pass the module as `model=`.", where="model="
    )


def _build_tabular(section: model_config.Tabular, shape: NetworkShape) -> TabularNet:
    fields = fields_of(section, *START, "bins", "activation", "output")
    return TabularNet(
        math.prod(shape.input_shape),
        shape.num_outputs,
        one_hot=shape.one_hot,
        num_bins=section.bins,
        activation=partial(build_activation, section.activation),
        output_activation=build_activation(section.output.activation),
        output_bias=section.output.bias,
        **fields,
    )


def _build_cnn(section: model_config.Cnn, shape: NetworkShape) -> CNN:
    return CNN(
        shape.input_shape,
        shape.num_outputs,
        blocks=[_build_block(section, block) for block in section.blocks],
        head=[
            HiddenLayer(units, activation=build_activation(section.activation), dropout=section.dropout)
            for units in section.head
        ],
        num_tokens=shape.num_tokens or None,
        embedding_dim=section.embedding if isinstance(section.embedding, int) else None,
        output_activation=build_activation(section.output.activation),
        output_bias=section.output.bias,
    )


def _build_block(section: model_config.Cnn, block: model_config.Block) -> Layer:
    if block.conv is not None:
        fields = fields_of(block.conv, "activation", "init")
        return ConvLayer(**fields, activation=build_activation(block.conv.activation or section.activation))
    if block.pool is not None:
        return PoolLayer(**fields_of(block.pool))
    assert block.global_pool is not None
    return GlobalPool(block.global_pool)


def _build_recurrent(section: model_config.Recurrent, shape: NetworkShape) -> RecurrentNet:
    sample = shape.input_shape
    # An image (C, H, W) is a sequence of H steps of C * W values.
    width = sample[0] * sample[2] if len(sample) == 3 else sample[-1]
    fields = fields_of(section, *START, "embedding", "output")
    return RecurrentNet(
        None if shape.num_tokens else width,
        shape.num_outputs,
        cell=section.name,  # type: ignore[attr-defined]
        num_tokens=shape.num_tokens or None,
        embedding_dim=section.embedding if isinstance(section.embedding, int) else None,
        output_activation=build_activation(section.output.activation),
        output_bias=section.output.bias,
        **fields,
    )


def with_known_model(config: Config) -> Config:
    """Returns a config with the network that `model: auto` stands for. Reads the data if the config says too little."""
    if not isinstance(config.model, model_config.Auto):
        return config
    return with_auto_model(config, facts_of(config, build_dataset(config)))


def network_shape(config: Config) -> NetworkShape:
    """Returns the sizes that the network of a config is built for. Reads the data only if the config lacks them."""
    facts = config.data.facts()
    if None in (facts.task, facts.input_shape, facts.num_classes, facts.num_targets, facts.per):
        facts = facts_of(config, build_dataset(config))
        check_facts(config, facts)
    resolved = resolve(config, facts)
    outputs = num_outputs(resolved.loss, facts)
    assert facts.input_shape is not None
    assert outputs is not None
    assert facts.per is not None
    return NetworkShape(
        after_preprocess(resolved, facts),
        outputs,
        facts.num_tokens or 0,
        facts.per,
        one_hot_of(resolved, facts.one_hot),
    )


def one_hot_of(config: Config, one_hot: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Returns the ranges of features that are 0 or 1 after preprocessing: none after PCA and ZCA."""
    return () if config.preprocess.pca or config.preprocess.zca else one_hot


def after_preprocess(config: Config, facts: Facts) -> tuple[int, ...]:
    """Returns the shape of one sample after preprocessing: PCA flattens images and returns one value per component."""
    assert facts.input_shape is not None
    if config.preprocess.pca is None:
        return facts.input_shape
    steps = facts.input_shape[:1] if facts.layout == "sequence" else ()
    return (*steps, config.preprocess.pca.n_components)


def _hidden_layers(section: model_config.Linear | model_config.Mlp) -> list[HiddenLayer]:
    """Builds the hidden layers from `hidden` or `layers`; a layer's missing keys default to those of the model."""
    if isinstance(section, model_config.Linear):
        return []
    if section.layers is not None:
        layers = section.layers
    else:
        layers = tuple(model_config.Layer(units=units) for units in section.hidden or ())
    return [
        HiddenLayer(
            layer.units,
            activation=build_activation(layer.activation or section.activation),
            bias=section.bias if layer.bias is None else layer.bias,
            batch_norm=section.batch_norm if layer.batch_norm is None else layer.batch_norm,
            dropout=section.dropout if layer.dropout is None else layer.dropout,
        )
        for layer in layers
    ]
