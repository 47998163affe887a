from __future__ import annotations

import json
import math
import random
from collections import Counter, OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim.lr_scheduler import MultiStepLR

from nnzoo.run.encoding import decode, encode
from nnzoo.run.tensor_file import from_bytes, to_bytes

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.bool, torch.float8_e5m2),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint64, torch.uint32, torch.uint16, torch.uint8),
]
KEYS = st.text() | st.integers() | st.sampled_from(["$tensor", "$", "__metadata__", "", "a.b", "ä", "é", "1"])
# Without lone surrogates, which UTF-8 does not support.
LEAVES = (
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(exclude_categories=["Cs"]))),
    st.integers(-(2**200), 2**200),
    st.builds(torch.full, st.sampled_from([(), (3,), (0, 4), (2, 3)]), st.integers(0, 1)),
    st.sampled_from(DTYPES).map(lambda dtype: torch.ones(2, 3).to(dtype)),
)
TREES = st.recursive(
    st.one_of(*LEAVES),
    lambda each: (
        st.lists(each, max_size=4)
        | st.lists(each, max_size=4).map(tuple)
        | st.dictionaries(KEYS.filter(lambda key: not isinstance(key, str) or is_utf8(key)), each, max_size=4)
        | st.dictionaries(st.integers(), st.integers(), max_size=3).map(Counter)
    ),
    max_leaves=20,
)


def is_utf8(text: str) -> bool:
    return not any(0xD800 <= ord(character) < 0xE000 for character in text)


def is_same(first: Any, second: Any) -> bool:
    """Whether two values have the same types, values, bits and order of keys."""
    if type(first) is not type(second):
        return False
    if isinstance(first, Tensor):
        return first.dtype == second.dtype and first.shape == second.shape and bits(first) == bits(second)
    if isinstance(first, float):
        return (math.isnan(first) and math.isnan(second)) or (
            first == second and math.copysign(1, first) == math.copysign(1, second)
        )
    if isinstance(first, dict):
        pairs = zip(first.items(), second.items(), strict=True)
        return len(first) == len(second) and all(is_same(*keys) for keys in pairs)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(is_same, first, second))
    return bool(first == second)


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@given(TREES)
def test_encoded_values_are_decoded_exactly(value: Any) -> None:
    encoded, tensors = encode(value)
    text = json.dumps(encoded, sort_keys=True, allow_nan=False)
    assert is_same(decode(json.loads(text), tensors), value)
    assert is_same(from_bytes(to_bytes(value)), value)
    assert to_bytes(value) == to_bytes(from_bytes(to_bytes(value)))


def test_tensors_are_named_after_their_path() -> None:
    value = {"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}, "best": None, "sums": [torch.zeros(1)]}
    assert sorted(encode(value)[1]) == ["optimizer.state.0.exp_avg", "sums.0"]
    clashing = {"a": {"b": torch.zeros(1)}, "a.b": torch.ones(1), "__metadata__": torch.ones(2)}
    assert is_same(from_bytes(to_bytes(clashing)), clashing)


def test_states_of_generators_optimizers_and_schedulers_are_restored_exactly() -> None:
    network = nn.Linear(3, 2)

    def closure() -> float:
        network.zero_grad()
        loss: Tensor = network(torch.ones(4, 3)).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    states: list[Any] = [random.getstate()]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Adam(network.parameters()),
        torch.optim.LBFGS(network.parameters()),
    ]
    for optimizer in optimizers:
        scheduler = MultiStepLR(optimizer, [3, 5, 5])
        optimizer.step(closure)
        scheduler.step()
        states += [optimizer.state_dict(), scheduler.state_dict()]
    for state in states:
        assert is_same(from_bytes(to_bytes(state)), state)


STRANGE: list[Any] = [
    *(np.float64(0.5), np.int64(1), np.ones(2), {1, 2}, b"bytes", 1j, object(), torch.float32, OrderedDict(a=1)),
    *({True: 1}, {None: 1}, {1.5: 1}, {(1, 2): 3}, [{"a": (1, {"b": nn.Linear(1, 1)})}], torch.Size([2]), len),
]


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: type(value).__name__)
def test_other_types_are_errors(value: Any) -> None:
    with pytest.raises(TypeError, match=r"can't be saved \(got"):
        encode(value)


def test_errors_name_the_path() -> None:
    with pytest.raises(TypeError, match=r"^a\.1\.b: can't be saved \(got ndarray\)"):
        encode({"a": [0, {"b": np.ones(2)}]})


@pytest.mark.parametrize(
    "encoded",
    [
        {"$tensor": "missing"},
        {"$tensor": 1},
        {"$tensor": ["x"]},
        {"$float": "1e5"},
        {"$float": 1.0},
        {"$tuple": "ab"},
        {"$tuple": {"a": 1}},
        {"$dict": {"a": 1}},
        {"$dict": [["a"]]},
        {"$dict": [["a", 1], ["a", 2]]},
        {"$dict": [[[], 1]]},
        {"$dict": [[None, 1]]},
        {"$dict": [[True, 1]]},
        {"$counter": 5},
        {"$call": ["os.mkdir", "x"]},
        {"$tuple": [], "a": 1},
        {"a": [{"$": 1}]},
    ],
)
def test_invalid_encodings_are_errors(encoded: Any) -> None:
    with pytest.raises(ValueError, match=r"\$"):
        decode(encoded, {})


def test_an_unused_tensor_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing refers to the tensor 'b'"):
        decode({"$tensor": "a"}, {"a": torch.ones(1), "b": torch.ones(1)})
