"""Encodes nested values as JSON and tensors, and decodes them to exactly the same types and values, without pickle.

None, booleans, integers, finite floats, strings and lists are the same in JSON. A dict with string keys in sorted order
is an object. Everything else is encoded as an object with one key that begins with `$`:

    {"$tensor": "optimizer.state.0.exp_avg"}    the name of a tensor in the same file
    {"$float": "nan"}                           a float that JSON does not support: nan, inf, -inf
    {"$tuple": [0.9, 0.999]}
    {"$dict": [[0, {...}], [1, {...}]]}         a dict with integer keys, or with keys in a different order
    {"$counter": [[30, 1], [80, 1]]}            a collections.Counter, as in the state of MultiStepLR
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode(value: Any) -> tuple[Any, dict[str, Tensor]]:
    """Encodes a value as JSON, and returns it with its tensors by name.

    A tensor is named after its path in the value: the keys that lead to it, joined by dots.

    Args:
        value: Nested dicts (string or integer keys), Counters, lists and tuples of tensors, numbers, strings, booleans
            and None.

    Raises:
        TypeError: The value contains an unsupported type, such as a subclass of these types; the message names its
            path.
    """
    tensors: dict[str, Tensor] = {}
    return _encode(value, "", tensors), tensors


def decode(encoded: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Returns the value that `encode` encoded.

    Args:
        encoded: The result of `json.loads`.
        tensors: The tensors by name.

    Raises:
        ValueError: `encoded` is not a result of `encode`, refers to a missing tensor, or does not refer to every
            tensor.
        RecursionError: `encoded` is nested too deeply.
    """
    unused = set(tensors)
    value = _decode(encoded, tensors, unused)
    if unused:
        raise ValueError(f"nothing refers to the tensor {min(unused)!r}")
    return value


def _encode(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind in (Tensor, nn.Parameter):
        name = path or "value"
        while name in tensors or name == "__metadata__":  # {"a": {"b": ..}, "a.b": ..}; safetensors' own key
            name += "'"
        tensors[name] = value.detach()
        return {"$tensor": name}
    if kind is list or kind is tuple:
        items = [_encode(each, _join(path, index), tensors) for index, each in enumerate(value)]
        return items if kind is list else {"$tuple": items}
    if kind not in (dict, Counter):
        raise TypeError(f"{path or 'value'}: can't be saved (got {kind.__qualname__})")
    for key in value:
        if type(key) not in (str, int):
            raise TypeError(f"{path or 'value'}: can't be saved (got a dict with the key {key!r})")
    pairs = [[key, _encode(each, _join(path, key), tensors)] for key, each in value.items()]
    if kind is Counter:
        return {"$counter": pairs}
    keys = list(value)
    is_object = all(type(key) is str and not key.startswith("$") for key in keys) and keys == sorted(keys)
    return dict(pairs) if is_object else {"$dict": pairs}


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _decode(encoded: Any, tensors: Mapping[str, Tensor], unused: set[str]) -> Any:
    if isinstance(encoded, list):
        return [_decode(each, tensors, unused) for each in encoded]
    if not isinstance(encoded, dict):
        return encoded
    tag = next((key for key in encoded if key.startswith("$")), None)
    if tag is None:
        return {key: _decode(each, tensors, unused) for key, each in encoded.items()}
    if len(encoded) > 1:
        raise ValueError(f"{tag} is not the only key")
    content = encoded[tag]
    if tag == "$tensor" and isinstance(content, str) and content in tensors:
        unused.discard(content)
        return tensors[content]
    if tag == "$float" and isinstance(content, str) and content in _FLOATS:
        return _FLOATS[content]
    if tag == "$tuple" and isinstance(content, list):
        return tuple(_decode(each, tensors, unused) for each in content)
    if tag in ("$dict", "$counter") and isinstance(content, list):
        result: dict[Any, Any] = Counter() if tag == "$counter" else {}
        for pair in content:
            if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) not in (str, int) or pair[0] in result:
                raise ValueError(f"{tag} is not a list of pairs of a key and a value")
            result[pair[0]] = _decode(pair[1], tensors, unused)
        return result
    raise ValueError(f"{tag[:20]} is unknown, or has invalid content")
