"""What the pickle inside a checkpoint would make, found out by reading it. Nothing in it is run.

Torch's weights-only reader believes what a pickle says of sizes: of more numbers than the file has, it reads memory
that is not the file's; and a view of one number may claim any shape.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

_REBUILDERS = ("torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3")
_CALLED = (*_REBUILDERS, "collections OrderedDict", "collections Counter")
_DTYPES = re.compile(r"torch (u?int\d+|float8_\w+)")
_CONSTANTS = re.compile(r"NONE|NEWTRUE|NEWFALSE|BININT[12]?|LONG1|BINFLOAT|BINUNICODE")
_ITEM_SIZES = {
    **dict.fromkeys(("torch ComplexDoubleStorage",), 16),
    **dict.fromkeys(("torch DoubleStorage", "torch LongStorage", "torch ComplexFloatStorage"), 8),
    **dict.fromkeys(("torch FloatStorage", "torch IntStorage"), 4),
    **dict.fromkeys(("torch HalfStorage", "torch BFloat16Storage", "torch ShortStorage"), 2),
    **dict.fromkeys(("torch ByteStorage", "torch CharStorage", "torch BoolStorage", "torch.storage UntypedStorage"), 1),
}
"""Bytes of a number, by the type of its storage."""
_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    num_bytes: int
    item_size: int


_MARK, _OTHER = object(), object()


def check_pickle(pickled: bytes, sizes: Mapping[str, int]) -> None:
    """Reads a pickle symbol by symbol, as the machine that runs it would.

    Args:
        pickled: Of protocol 2, as torch writes it.
        sizes: Bytes of each storage, by its key.

    Raises:
        ValueError: It makes something other than tensors, numbers, texts, lists, tuples and dicts, or claims more
            numbers than are there; or it is none.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            _step(opcode.name, argument, stack, memo, sizes)
    except (IndexError, KeyError, TypeError, OverflowError):
        raise ValueError("no pickle of torch") from None


def _step(name: str, argument: Any, stack: list[Any], memo: dict[int, Any], sizes: Mapping[str, int]) -> None:
    """One symbol. What need not be known of it is `_OTHER`."""
    if _CONSTANTS.fullmatch(name):
        stack.append(_VALUES.get(name, argument))
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name == "MARK":
        stack.append(_MARK)
    elif name in ("EMPTY_DICT", "EMPTY_LIST"):
        stack.append(_OTHER)
    elif name == "EMPTY_TUPLE":
        stack.append(())
    elif name == "TUPLE":
        stack.append(tuple(_to_mark(stack)))
    elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        stack.append(tuple(_popped(stack, int(name[-1]))))
    elif name in ("SETITEM", "APPEND"):
        _popped(stack, 2 if name == "SETITEM" else 1)
    elif name in ("SETITEMS", "APPENDS"):
        _to_mark(stack)
    elif name == "GLOBAL":
        if argument not in (*_CALLED, *_ITEM_SIZES) and not _DTYPES.fullmatch(argument):
            raise ValueError(f"it names {argument}")
        stack.append(_Global(argument))
    elif name == "BINPERSID":
        stack.append(_storage(stack.pop(), sizes))
    elif name == "REDUCE":
        function, arguments = _popped(stack, 2)
        stack.append(_called(function, arguments))
    elif name not in ("PROTO", "STOP"):
        raise ValueError(f"it has {name}")


def _popped(stack: list[Any], count: int) -> list[Any]:
    if len(stack) < count:
        raise ValueError("it takes from an empty stack")
    taken = stack[-count:]
    del stack[-count:]
    return taken


def _to_mark(stack: list[Any]) -> list[Any]:
    taken = []
    while (top := stack.pop()) is not _MARK:
        taken.append(top)
    return taken[::-1]


def _storage(identity: Any, sizes: Mapping[str, int]) -> _Storage:
    """("storage", its type, its key, where it was, how many numbers): as many as the file has."""
    word, kind, key, place, count = identity
    if word != "storage" or not isinstance(kind, _Global) or not isinstance(place, str) or type(count) is not int:
        raise ValueError("it has a storage that is none")
    item_size = _ITEM_SIZES[kind.name]
    if count * item_size != sizes[key]:
        raise ValueError("it claims another size than is there")
    return _Storage(sizes[key], item_size)


def _called(function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Global) or function.name not in _CALLED or not isinstance(arguments, tuple):
        raise ValueError("it calls what can't be called")
    if function.name not in _REBUILDERS:
        return _OTHER
    storage, offset, size, stride, *rest = arguments
    item_size = storage.item_size if isinstance(storage, _Storage) else 0
    if function.name.endswith("v3"):
        dtype = getattr(torch, rest[2].name.split(" ")[1], None) if len(rest) > 2 else None
        item_size = dtype.itemsize if isinstance(dtype, torch.dtype) else 0
    whole = all(type(each) is int and each >= 0 for each in (offset, *size, *stride))
    if not item_size or not whole or math.prod(size) * item_size > storage.num_bytes:
        raise ValueError("it has a tensor that claims more than is there")
    return _OTHER
