"""Mathematics in expressions. Arguments are numbers, lists or arrays; results are numbers or arrays."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def plain(value: Any) -> Any:
    """Returns arrays without axes as Python numbers; other values unchanged."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value.item()
    return value.item() if isinstance(value, np.generic) else value


def grid(low: float, high: float, count: int) -> Array:
    """Returns `count` evenly spaced numbers from `low` to `high`."""
    return np.linspace(low, high, int(count))


def logspace(low: float, high: float, count: int) -> Array:
    """Returns `count` numbers from `low` to `high` with a constant ratio."""
    return np.geomspace(low, high, int(count))


def normal(*shape: int, seed: int = 0) -> Array:
    """Returns standard normal random numbers of a shape."""
    return np.random.default_rng(int(seed)).standard_normal([int(size) for size in shape])


def uniform(*shape: int, seed: int = 0) -> Array:
    """Returns random numbers of a shape, uniform from 0 to 1."""
    return np.random.default_rng(int(seed)).random([int(size) for size in shape])


def counted(*ends: int) -> list[int]:
    """Returns the integers of `range`."""
    return list(builtins.range(*(int(end) for end in ends)))


def mean(values: ArrayLike, axis: int | None = None) -> Any:
    """Returns the mean."""
    return plain(np.mean(np.asarray(values, float), axis=axis))


def std(values: ArrayLike, axis: int | None = None) -> Any:
    """Returns the standard deviation, divided by n - 1."""
    return plain(np.std(np.asarray(values, float), axis=axis, ddof=1))


def variance(values: ArrayLike, axis: int | None = None) -> Any:
    """Returns the variance, divided by n."""
    return plain(np.var(np.asarray(values, float), axis=axis))


def median(values: ArrayLike) -> Any:
    """Returns the median."""
    return plain(np.median(np.asarray(values, float)))


def total(values: ArrayLike, axis: int | None = None) -> Any:
    """Returns the sum."""
    return plain(np.sum(np.asarray(values), axis=axis))


def product(values: ArrayLike, single: bool = False) -> Any:
    """Returns the product; with `single`, in float32."""
    return plain(np.prod(np.asarray(values, np.float32 if single else float)))


def smallest(*values: Any) -> Any:
    """Returns the smallest of the values, or of a list."""
    return plain(np.min(np.asarray(values[0] if len(values) == 1 else values)))


def largest(*values: Any) -> Any:
    """Returns the largest of the values, or of a list."""
    return plain(np.max(np.asarray(values[0] if len(values) == 1 else values)))


def share_below(values: ArrayLike, bound: float) -> Any:
    """Returns the share of values whose size is below a bound."""
    return plain(np.mean(np.abs(np.asarray(values, float)) < bound))


def share(conditions: ArrayLike) -> Any:
    """Returns the share of values that are true."""
    return plain(np.mean(np.asarray(conditions, bool)))


def close(a: ArrayLike, b: ArrayLike, within: float) -> bool:
    """Returns whether two values differ by at most `within` times the larger size, in every entry."""
    first, second = np.asarray(a, float), np.asarray(b, float)
    if first.shape != second.shape and 0 not in (first.ndim, second.ndim):
        return False
    scale = np.maximum(np.abs(first), np.abs(second))
    return bool(np.all(np.abs(first - second) <= within * np.maximum(scale, 1e-12)))


def covariance(rows: ArrayLike) -> Array:
    """Returns the covariance matrix of the columns, divided by n - 1."""
    return np.atleast_2d(np.cov(np.asarray(rows, float), rowvar=False))


def norm(values: ArrayLike) -> Any:
    """Returns the 2-norm of all entries."""
    return plain(np.linalg.norm(np.asarray(values, float).ravel()))


def smooth(values: ArrayLike, window: int) -> Array:
    """Returns the moving average over `window` values, shorter at the start."""
    numbers = np.asarray(values, float)
    sums = np.cumsum(numbers)
    sizes = np.minimum(np.arange(len(numbers)) + 1, int(window))
    before = np.concatenate([np.zeros(min(int(window), len(numbers))), sums[: -int(window)]])
    return cast("Array", (sums - before) / sizes)


def shape_of(values: ArrayLike) -> list[int]:
    """Returns the sizes of the axes."""
    return list(np.asarray(values).shape)


def reshape(values: ArrayLike, *shape: int) -> Array:
    """Returns the values in another shape; one size may be -1."""
    return np.reshape(np.asarray(values), [int(size) for size in shape])


def concat(*parts: ArrayLike) -> Array:
    """Returns lists joined end to end."""
    return np.concatenate([np.atleast_1d(np.asarray(part)) for part in parts])


def columns(*parts: ArrayLike) -> Array:
    """Returns lists as the columns of a table."""
    return np.stack([np.asarray(part) for part in parts], axis=-1)


def column(rows: ArrayLike, index: int) -> Array:
    """Returns a column of a table."""
    return np.asarray(rows)[:, int(index)]


def where(conditions: ArrayLike, rows: ArrayLike) -> Array:
    """Returns the rows for which the condition is true."""
    return cast("Array", np.asarray(rows)[np.asarray(conditions, bool)])


def shift(image: ArrayLike, down: int, right: int) -> Array:
    """Returns an image (H, W) that is moved by some pixels; zeros come in at the edges."""
    values = np.asarray(image, float)
    moved = np.zeros_like(values)
    height, width = values.shape
    rows, columns_ = (slice(max(0, by), size + min(0, by)) for by, size in ((int(down), height), (int(right), width)))
    from_rows, from_columns = (
        slice(max(0, -by), size - max(0, by)) for by, size in ((int(down), height), (int(right), width))
    )
    moved[rows, columns_] = values[from_rows, from_columns]
    return moved


def equal(a: ArrayLike, b: Any) -> Array:
    """Returns entry by entry whether two values are equal."""
    return cast("Array", np.equal(np.asarray(a), b))


def positive(values: ArrayLike) -> Array:
    """Returns entry by entry whether a value is above 0."""
    return cast("Array", np.greater(np.asarray(values, float), 0))


def _of(function: Callable[..., Any], meaning: str) -> Callable[..., Any]:
    def apply(value: ArrayLike) -> Any:
        return plain(function(np.asarray(value, float)))

    apply.__doc__ = meaning
    return apply


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "grid": grid,
    "logspace": logspace,
    "normal": normal,
    "uniform": uniform,
    "range": counted,
    "mean": mean,
    "std": std,
    "variance": variance,
    "median": median,
    "sum": total,
    "product": product,
    "min": smallest,
    "max": largest,
    "share_below": share_below,
    "share": share,
    "close": close,
    "covariance": covariance,
    "norm": norm,
    "smooth": smooth,
    "shape": shape_of,
    "reshape": reshape,
    "concat": concat,
    "columns": columns,
    "column": column,
    "where": where,
    "shift": shift,
    "equal": equal,
    "positive": positive,
    "abs": _of(np.abs, "Returns the size of a number."),
    "exp": _of(np.exp, "Returns e to the power of a number."),
    "log": _of(np.log, "Returns the natural logarithm."),
    "sqrt": _of(np.sqrt, "Returns the square root."),
    "sin": _of(np.sin, "Returns the sine."),
    "cos": _of(np.cos, "Returns the cosine."),
    "floor": _of(np.floor, "Returns the integer below a number."),
    "ceil": _of(np.ceil, "Returns the integer above a number."),
    "diff": _of(np.diff, "Returns the differences of neighbors."),
    "cumsum": _of(np.cumsum, "Returns the sums of the first 1, 2, ... numbers."),
    "sort": _of(np.sort, "Returns the numbers in increasing order."),
    "transpose": _of(np.transpose, "Returns the table with rows and columns swapped."),
    "flat": _of(np.ravel, "Returns all entries in one list."),
    "identity": lambda size: np.eye(int(size)),
    "round": lambda value, digits=0: plain(np.round(np.asarray(value, float), int(digits))),
    "len": lambda values: len(values),
    "list": lambda values: list(values),
    "zip": lambda *lists: [list(each) for each in zip(*lists, strict=True)],
    "text": lambda value: str(plain(value)),
}
"""The functions by the name that expressions use."""
FUNCTIONS["identity"].__doc__ = "Returns the identity matrix of a size."
FUNCTIONS["round"].__doc__ = "Returns a number rounded to some digits."
FUNCTIONS["len"].__doc__ = "Returns the number of items."
FUNCTIONS["list"].__doc__ = "Returns the items as a list."
FUNCTIONS["zip"].__doc__ = "Returns the first items of lists, then the second ones, and so on."
FUNCTIONS["text"].__doc__ = "Returns a value as text."
