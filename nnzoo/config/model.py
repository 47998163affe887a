"""Models. Input and output sizes are never written: they come from the data."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nnzoo.config.activation import Activation, Identity, Relu
from nnzoo.config.base import ByName, Count, Items, Natural, Positive, Probability, Section
from nnzoo.config.init import Init

DEFAULT_HIDDEN = (64, 32)


PRETRAINED = ("model", "pretrained")
"""The key that names a checkpoint: relative to the config's folder, absolute in a run, null in an artifact."""


def is_run_name(checkpoint: str) -> bool:
    """Whether a checkpoint may be meant by the name of its run, or by `latest`, and not by a path."""
    path = PurePath(checkpoint)
    return path.name == checkpoint and path.suffix not in (".safetensors", ".pt")


class Output(Section):
    """The last layer; its number of units comes from the data and the loss."""

    activation: Activation = Field(Identity(name="identity"), description="identity: logits, what the losses like best")
    init: Init | None = Field(None, description="null: the model's")
    bias: bool = Field(True, description="whether the layer has biases")


class Layer(Section):
    """One hidden layer: linear, batch norm, activation, dropout. What it leaves out is taken from the model."""

    units: Count = Field(description="number of units")
    activation: Activation | None = Field(None, description="null: the model's")
    init: Init | None = Field(None, description="null: the model's")
    bias: bool | None = Field(None, description="whether the layer has biases; null: the model's")
    batch_norm: bool | None = Field(
        None, description="normalise over the batch before the activation; null: the model's"
    )
    dropout: Probability | None = Field(None, description="share of units silenced in training; null: the model's")


class Model(Section):
    """What every model has."""

    layouts: ClassVar[frozenset[str]] = frozenset({"features", "sequence", "image"})

    pretrained: str | None = Field(
        None,
        min_length=1,
        description="start from these weights: a run directory, best.safetensors, last.pt, a run's name, or latest; "
        "the last layer starts anew by `init` unless classes, or targets, are the checkpoint's in the same order",
    )
    freeze: str | Items[str] = Field(
        (),
        description="what is not trained: `backbone` (all but the last layer) or fnmatch patterns, such as `*.bias`",
    )


class Linear(Model):
    """One layer and no hidden one: y = f(W x + b). Images and sequences are flattened.

    `kernel: rbf` puts random Fourier features before it (Rahimi & Recht 2007): a kernel machine whose cost does not
    grow with the number of samples.
    """

    name: Literal["linear"]
    kernel: Literal["none", "rbf"] = Field("none", description="rbf: exp(-gamma |x - y|^2), by random features")
    n_components: Count = Field(256, description="random features of the kernel; more follow it closer")
    gamma: Positive | None = Field(None, description="how fast the kernel falls; null: 1 / number of inputs")
    output: Output = Field(Output(), description="activation, initializer and bias of the layer")


class Perceptron(Model):
    """A linear unit with a step (Rosenblatt 1958): one for two classes, else one a class. Inputs are flattened.

    The step is the sign by which `loss: perceptron` and the answers read the output; `loss: auto` means that loss.
    """

    name: Literal["perceptron"]


class Mlp(Model):
    """A feedforward network; each hidden layer is linear, batch norm, activation, dropout. Inputs are flattened."""

    name: Literal["mlp"]
    hidden: Items[Count] | None = Field(None, description="units of each hidden layer, may be empty; null: [64, 32]")
    layers: Items[Layer] | None = Field(None, description="the hidden layers one by one, in place of `hidden`")
    activation: Activation = Field(Relu(), description="of the hidden layers")
    bias: bool = Field(True, description="whether hidden layers have biases")
    batch_norm: bool = Field(False, description="normalise over the batch before the activation (Ioffe & Szegedy 2015)")
    dropout: Probability = Field(0.0, description="share of hidden units silenced in training (Srivastava et al. 2014)")
    output: Output = Field(Output(), description="activation, initializer and bias of the last layer")


PerAxis = Count | Items[Count]
"""One number for all axes, or one each: [height, width] of images, [steps] of sequences."""


class ConvBlock(Section):
    """Convolution, batch norm, activation, dropout."""

    out_channels: Count = Field(description="filters")
    kernel_size: PerAxis = Field(description="entries that a filter reads along each axis")
    stride: PerAxis = Field(1, description="steps from one position to the next")
    padding: Natural | Literal["same", "valid"] | Items[Natural] = Field(
        0, description="zeros at either end of each axis; same: keeps the size (with stride 1); valid: 0"
    )
    dilation: PerAxis = Field(1, description="steps from one entry that a filter reads to the next")
    groups: Count = Field(1, description="parts that the channels are divided into, each with filters of its own")
    bias: bool = Field(True, description="whether filters have biases")
    activation: Activation | None = Field(None, description="null: the model's")
    init: Init | None = Field(None, description="null: the model's; values: (filters, channels / groups, *kernel_size)")
    batch_norm: bool = Field(False, description="normalise each channel before the activation (Ioffe & Szegedy 2015)")
    dropout: Probability = Field(0.0, description="share of values silenced in training")


class PoolBlock(Section):
    """The largest value or the mean of each window, channel by channel."""

    kind: Literal["max", "avg"] = Field("max", description="the largest value or the mean (of padding too)")
    kernel_size: PerAxis = Field(description="size of the window along each axis")
    stride: PerAxis | None = Field(None, description="steps to the next window; null: side by side")
    padding: Natural | Items[Natural] = Field(0, description="added at either end, at most half of the window")


class Block(Section):
    """One block: `conv`, `pool` or `global_pool`."""

    sparse = True

    conv: ConvBlock | None = Field(None, description="a convolution and what follows it")
    pool: PoolBlock | None = Field(None, description="a pooling")
    global_pool: Literal["avg", "max"] | None = Field(
        None, description="one value a channel, whatever its size (Lin et al. 2014)"
    )


Embedding = Literal["auto"] | Count | None
_EMBEDDING = "size of a token's vector; auto: 1.6 * tokens^0.56, at most 50; null where inputs are not tokens"


class Cnn(Model):
    """A convolutional network (LeCun et al. 1998), block by block, then a fully connected head.

    Two-dimensional on images, one-dimensional on sequences (features are channels) and on tokens (after an embedding).
    Padding of sequences never changes a result.
    """

    layouts = frozenset({"sequence", "image", "tokens"})

    name: Literal["cnn"]
    blocks: Items[Block] = Field(description="convolutions and poolings, from the input on", min_length=1)
    head: Items[Count] = Field((), description="units of each hidden layer after the blocks")
    activation: Activation = Field(Relu(), description="of convolutions and hidden layers that name none")
    dropout: Probability = Field(0.0, description="share of the head's hidden units silenced in training")
    embedding: Embedding = Field("auto", description=_EMBEDDING)
    output: Output = Field(Output(), description="activation, initializer and bias of the last layer")


class Recurrent(Model):
    """What every recurrent network has."""

    layouts = frozenset({"sequence", "image", "tokens"})

    hidden_size: Count = Field(64, description="units a layer and direction")
    num_layers: Count = Field(1, description="layers on top of each other", le=1000)
    bidirectional: bool = Field(False, description="read from the end too (Schuster & Paliwal 1997)")
    dropout: Probability = Field(
        0.0, description="share of what a layer passes up silenced in training (Zaremba et al. 2014)"
    )
    embedding: Embedding = Field("auto", description=_EMBEDDING)
    pooling: Literal["auto", "last", "mean", "max", "none"] = Field(
        "auto",
        description="what the output reads of the states; none: an output at every step; auto: none where every step "
        "has a target, else last",
    )
    output: Output = Field(Output(), description="activation, initializer and bias of the last layer")


class Rnn(Recurrent):
    """Elman's network (1990): h_t = f(U x_t + W h_{t-1}). An image is read row by row; padding changes no result."""

    name: Literal["rnn"]
    nonlinearity: Literal["tanh", "relu"] = Field("tanh", description="f")


class Lstm(Recurrent):
    """Long short-term memory with forget gates (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    An image is read row by row; padding changes no result. Forget gates start open under `init: auto`: bias 1
    (Jozefowicz et al. 2015).
    """

    name: Literal["lstm"]


class Gru(Recurrent):
    """Gated recurrent units (Cho et al. 2014), the reset gate after the product, as in cuDNN.

    An image is read row by row; padding changes no result.
    """

    name: Literal["gru"]


class TreeNet(Model):
    """What every network over trees has. It gives an output for every node."""

    layouts = frozenset({"tree"})

    dropout: Probability = Field(
        0.0, description="share of a node's state silenced in training before the output, not on the way up"
    )


class Recursive(TreeNet):
    """The recursive network (Socher et al. 2011): h = tanh(W [h_left; h_right] + b), a leaf's h its word vector.

    Word vectors start as N(0, 0.1^2) under `init: auto`.
    """

    name: Literal["recursive"]
    hidden_size: Count = Field(25, description="size of a node's state, and of a word vector")


class TreeLstm(TreeNet):
    """The binary tree-LSTM (Tai et al. 2015): a forget gate for each child. Words stand at the leaves alone.

    Word vectors start as N(0, 0.1^2) under `init: auto`.
    """

    name: Literal["tree_lstm"]
    hidden_size: Count = Field(100, description="size of a node's state, of its cell, and of a word vector")


class ImageNet(Model):
    """What every network for images has."""

    layouts = frozenset({"image"})
    smallest: ClassVar[int] = 1
    """Height and width that it needs at least."""


class LeNet5(ImageNet):
    """LeNet-5 (LeCun et al. 1998): images below 32 x 32 are padded to that size.

    Deviations: every filter of C3 reads all maps; means have no coefficients; the output is linear. 61,706 parameters
    for 28 x 28 grey images of ten classes.
    """

    name: Literal["lenet5"]


class AlexNet(ImageNet):
    """AlexNet on one tower (Krizhevsky 2014), as in torchvision; images of at least 63 x 63.

    Deviations from Krizhevsky et al. 2012: one tower, no local response normalisation; `init: auto` is Kaiming's in
    place of N(0, 0.01^2). 61,100,840 parameters for 1000 classes.
    """

    smallest = 63

    name: Literal["alexnet"]
    dropout: Probability = Field(0.5, description="share of units before both hidden layers silenced in training")


class Vgg(ImageNet):
    """VGG (Simonyan & Zisserman 2015), as in torchvision; images of at least 32 x 32.

    Deviations: batch norm (`_bn`) is later than the paper; `init: auto` is Kaiming's, which trains the deep ones from
    scratch. 138,357,544 parameters at depth 16 for 1000 classes.
    """

    smallest = 32

    name: Literal["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]
    dropout: Probability = Field(0.5, description="share of units after both hidden layers silenced in training")


class CifarResNet(ImageNet):
    """A residual network for CIFAR (He et al. 2016, section 4.2), shortcuts without parameters; any image size.

    Convolutions start by Kaiming's rule with fan_out. For ten classes depth 20 has 269,722 parameters, depth 110
    1,727,962.
    """

    name: Literal["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"]


Architecture = Literal[
    "alexnet",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
    "wide_resnet101_2",
    "wide_resnet50_2",
]


class Torchvision(ImageNet):
    """A classification model of torchvision, its last layer sized to the data; without auxiliary outputs.

    `init: auto` keeps torchvision's own. Without pretrained weights the first convolution is made for the images'
    number of channels.
    """

    name: Literal["torchvision"]
    arch: Architecture = Field(description="torchvision's name of it")
    weights: str | None = Field(
        None, description="null: start anew; DEFAULT or a name: torchvision's pretrained weights, downloaded"
    )


class Custom(Model):
    """Your own nn.Module, handed to `nnzoo.train(config, model=...)` from Python; a file can't name it."""

    python_only = True
    layouts = frozenset({"features", "sequence", "image", "tokens", "tree"})

    name: Literal["custom"]


ModelSection = Annotated[
    Perceptron
    | Linear
    | Mlp
    | Cnn
    | Rnn
    | Lstm
    | Gru
    | Recursive
    | TreeLstm
    | LeNet5
    | AlexNet
    | Vgg
    | CifarResNet
    | Torchvision
    | Custom,
    Field(discriminator="name"),
    ByName("a model"),
]


def output_of(net: Model) -> Output | None:
    """The last layer's words, where the model has any."""
    found = getattr(net, "output", None)
    return found if isinstance(found, Output) else None


def embedding_size(num_tokens: int) -> int:
    """What `embedding: auto` means: 1.6 * num_tokens^0.56, a rule of thumb, up to 50."""
    return min(50, round(1.6 * math.pow(num_tokens, 0.56)))


def choose(net: Model, layout: str | None, num_tokens: int | None, per: str | None = "sample") -> Model:
    """A model with each `auto` replaced, as far as layout, vocabulary and what has a target are known."""
    update: dict[str, Any] = {}
    if isinstance(net, Mlp) and net.hidden is None and net.layers is None:
        update["hidden"] = DEFAULT_HIDDEN
    if isinstance(net, Recurrent) and net.pooling == "auto" and per is not None:
        update["pooling"] = "none" if per == "step" else "last"
    if isinstance(net, Cnn | Recurrent) and net.embedding == "auto":
        if layout == "tokens" and num_tokens:
            update["embedding"] = embedding_size(num_tokens)
        elif layout not in (None, "tokens"):
            update["embedding"] = None
    return net.model_copy(update=update) if update else net
