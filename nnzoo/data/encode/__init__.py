"""Converts NumPy arrays to checked tensors. A `DataError` names the row of an invalid value.

Rows are counted from 0. `where` is the location in messages, such as `data.npz: x_val`. Arrays are copied to memory
that torch allocates; otherwise NumPy's memory alignment could change the last bits of training results.
"""

from nnzoo.data.encode.checks import Array
from nnzoo.data.encode.inputs import (
    check_tokens,
    choose_layout,
    encode_inputs,
    encode_lengths,
    encode_pixels,
    inputs_on_disk,
    rounded_integers,
)
from nnzoo.data.encode.targets import (
    choose_per,
    choose_task,
    encode_steps,
    encode_targets,
    find_classes,
    steps_with_target,
)

__all__ = [
    "Array",
    "check_tokens",
    "choose_layout",
    "choose_per",
    "choose_task",
    "encode_inputs",
    "encode_lengths",
    "encode_pixels",
    "encode_steps",
    "encode_targets",
    "find_classes",
    "inputs_on_disk",
    "rounded_integers",
    "steps_with_target",
]
