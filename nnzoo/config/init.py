"""Initializers of weights and biases, with the names and fields of torch.nn.init, and a few more."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from nnzoo.config.base import LARGEST, ByName, Count, NonNegative, Positive, Real, Section

_MODE = "fan_in preserves the variance in the forward pass, fan_out in the backward pass"

Nonlinearity = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]


def _shape(numbers: object) -> tuple[int, ...]:
    if isinstance(numbers, bool) or not isinstance(numbers, (int, float, list, tuple)):
        raise PydanticCustomError("numbers", "expected numbers in nested lists, got {got}", {"got": repr(numbers)})
    if isinstance(numbers, (int, float)):
        if not abs(numbers) <= LARGEST:
            raise PydanticCustomError("numbers", "expected numbers up to {most}", {"most": f"{LARGEST:g}"})
        return ()
    shapes = {_shape(item) for item in numbers}
    if len(shapes) != 1:
        raise PydanticCustomError("numbers", "rows must not be empty and must all have the same length")
    return (len(numbers), *shapes.pop())


def _check_numbers(values: list[Any]) -> list[Any]:
    _shape(values)
    return values


Numbers = Annotated[
    list[Any], AfterValidator(_check_numbers), BeforeValidator(lambda v: [*v] if isinstance(v, tuple) else v)
]


class Zeros(Section):
    """All values 0. The units of a layer then stay identical, which shows why symmetry must be broken."""

    name: Literal["zeros"]


class Ones(Section):
    """All values 1."""

    name: Literal["ones"]


class Constant(Section):
    """All values `val`."""

    name: Literal["constant"]
    val: Real = Field(description="the value")


class Uniform(Section):
    """Uniform distribution U(a, b)."""

    name: Literal["uniform"]
    a: Real = Field(0.0, description="lower bound")
    b: Real = Field(1.0, description="upper bound")


class Normal(Section):
    """Normal distribution N(mean, std^2)."""

    name: Literal["normal"]
    mean: Real = Field(0.0, description="mean")
    std: NonNegative = Field(1.0, description="standard deviation")


class TruncNormal(Section):
    """Normal distribution N(mean, std^2), redrawn outside [a, b]."""

    name: Literal["trunc_normal"]
    mean: Real = Field(0.0, description="mean")
    std: Positive = Field(1.0, description="standard deviation before the truncation")
    a: Real = Field(-2.0, description="lower bound")
    b: Real = Field(2.0, description="upper bound")


class Values(Section):
    """Given values, in the shape of the parameter: one row per unit of a layer."""

    name: Literal["values"]
    values: Numbers = Field(description="nested lists: (units, inputs) for a layer, (units,) for a bias")


BiasInit = Annotated[
    Zeros | Ones | Constant | Uniform | Normal | TruncNormal | Values,
    Field(discriminator="name"),
    ByName("an initializer of biases"),
]


class WithBias(Section):
    """Base class of initializers for weights and biases. Normalization layers keep weight 1 and bias 0."""

    bias: Real | BiasInit = Field(0.0, description="value or initializer of the biases")


class Auto(WithBias):
    """The initializer of each layer depends on its activation.

    Kaiming normal (fan_in) for the ReLU family, LeCun normal for SELU, Xavier normal for sigmoid, tanh, softmax and
    linear outputs.

    Recurrent layers, per gate: Xavier normal for the input weights, orthogonal for the recurrent weights
    (Saxe et al. 2013), bias 1 for the forget gate of an LSTM (Jozefowicz et al. 2015). Embeddings: N(0, 1). CIFAR
    ResNets: Kaiming normal with fan_out (He et al. 2016). Models of torchvision keep their own.
    """

    name: Literal["auto"] = "auto"


class Default(Section):
    """The default of PyTorch: `reset_parameters` of each layer, biases included."""

    name: Literal["default"]


class ZerosWeight(Zeros, WithBias):
    __doc__ = Zeros.__doc__


class OnesWeight(Ones, WithBias):
    __doc__ = Ones.__doc__


class ConstantWeight(Constant, WithBias):
    __doc__ = Constant.__doc__


class UniformWeight(Uniform, WithBias):
    __doc__ = Uniform.__doc__


class NormalWeight(Normal, WithBias):
    __doc__ = Normal.__doc__


class TruncNormalWeight(TruncNormal, WithBias):
    __doc__ = TruncNormal.__doc__


class ValuesWeight(Values, WithBias):
    __doc__ = Values.__doc__


class XavierUniform(WithBias):
    """U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""

    name: Literal["xavier_uniform"]
    gain: Positive = Field(1.0, description="scaling factor")


class XavierNormal(WithBias):
    """N(0, std^2) with std = gain * sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010). Alias: `xavier`."""

    name: Literal["xavier_normal", "xavier"]
    gain: Positive = Field(1.0, description="scaling factor")


class KaimingUniform(WithBias):
    """U(-b, b) with b = gain * sqrt(3 / fan) (He et al. 2015)."""

    name: Literal["kaiming_uniform"]
    a: Real = Field(0.0, description="negative slope of leaky_relu")
    mode: Literal["fan_in", "fan_out"] = Field("fan_in", description=_MODE)
    nonlinearity: Nonlinearity = Field("leaky_relu", description="activation that determines the gain")


class KaimingNormal(WithBias):
    """N(0, std^2) with std = gain / sqrt(fan) (He et al. 2015). Alias: `kaiming`."""

    name: Literal["kaiming_normal", "kaiming"]
    a: Real = Field(0.0, description="negative slope of leaky_relu")
    mode: Literal["fan_in", "fan_out"] = Field("fan_in", description=_MODE)
    nonlinearity: Nonlinearity = Field("leaky_relu", description="activation that determines the gain")


class Orthogonal(WithBias):
    """A (semi-)orthogonal matrix (Saxe et al. 2013)."""

    name: Literal["orthogonal"]
    gain: Positive = Field(1.0, description="scaling factor")


class LecunNormal(WithBias):
    """N(0, 1 / fan_in) (LeCun et al. 1998b), as SELU requires."""

    name: Literal["lecun_normal"]


class Eye(WithBias):
    """The identity matrix, for two-dimensional weights."""

    name: Literal["eye"]


class Dirac(WithBias):
    """The identity as a convolution, for kernels with three to five axes."""

    name: Literal["dirac"]
    groups: Count = Field(1, description="number of groups of the convolution")


class Whitening(WithBias):
    """Filters that whiten the patches of training images: for the first convolution of a cnn.

    The filters are the principal components of the patches with their negatives, scaled to outputs of variance 1 (Page
    2019; Jordan 2024b). Those with the largest variance come first. `freeze: blocks.0.conv.weight` keeps them fixed.
    """

    name: Literal["whitening"]
    eps: Positive = Field(
        5e-4, description="added to the variance of each component, so that noise is not amplified without limit"
    )


Init = Annotated[
    Auto
    | Default
    | ZerosWeight
    | OnesWeight
    | ConstantWeight
    | UniformWeight
    | NormalWeight
    | TruncNormalWeight
    | XavierUniform
    | XavierNormal
    | KaimingUniform
    | KaimingNormal
    | Orthogonal
    | LecunNormal
    | Eye
    | Dirac
    | Whitening
    | ValuesWeight,
    Field(discriminator="name"),
    ByName("an initializer", default="auto"),
]
