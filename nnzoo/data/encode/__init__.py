"""From NumPy arrays to checked tensors: exact numbers, or a `DataError` that names the row.

Rows are counted from 0. `where` is the place that a message is about, such as `data.npz: x_val`. Everything is copied
into memory that torch owns: the alignment of memory that NumPy owns would change the last bits of a training.
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
