"""Trained networks as ONNX, and their outputs as onnxruntime computes them."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nnzoo.errors import UsageError
from nnzoo.experiment.load import TrainedModel
from nnzoo.export.built import Built, Runner
from nnzoo.export.recurrent import OnnxRecurrent, with_layers
from nnzoo.export.served import Interface, Served, dynamic_shapes

if TYPE_CHECKING:
    import onnx

OPSET = 23
LARGEST = 1.9e9
"""Bytes of weights. A protobuf file, such as that of ONNX, has less than 2 GiB."""
_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")


def check_installed() -> None:
    """Checks that the packages are installed.

    Raises:
        UsageError: One is missing.
    """
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} must be installed for ONNX. Run: pip install 'nnzoo[export]'.",
            where="--format onnx",
        )


def build_onnx(trained: TrainedModel, interface: Interface, example: tuple[Tensor, ...], text: str) -> Built:
    """Returns a network as an ONNX file with its description.

    Args:
        trained: The network, on the CPU.
        interface: Its inputs and outputs.
        example: Inputs of several samples.
        text: The description, for the metadata key `nnzoo`.

    Raises:
        UsageError: A package is missing, the network is too large, or ONNX lacks one of its operations.
    """
    check_installed()
    import onnxruntime

    model = to_onnx(trained, interface, example)
    _strip(model)
    entry = model.metadata_props.add()
    entry.key, entry.value = "nnzoo", text
    content = model.SerializeToString()
    runtime = f"onnxruntime {onnxruntime.__version__}, opset {OPSET}"
    return Built((content, text.encode()), onnx_runner(content, interface), runtime)


def to_onnx(trained: TrainedModel, interface: Interface, example: tuple[Tensor, ...]) -> onnx.ModelProto:
    """Returns a network as an ONNX model with its preprocessing and decoding.

    Args:
        trained: The network, on the CPU.
        interface: Its inputs and outputs.
        example: Inputs of at least two samples.

    Raises:
        UsageError: The network is too large, or it has an operation that ONNX does not have.
    """
    size = sum(each.numel() * each.element_size() for each in trained.module.state_dict().values())
    if size > LARGEST:
        raise UsageError(
            f"the network has {size / 1e9:.1f} GB of weights, but an ONNX file has at most 2 GB. Use --format torch.",
            where=str(trained.path),
        )
    served = Served(trained, with_layers(trained.module, OnnxRecurrent), interface).eval()
    with _silence():
        program = torch.onnx.export(
            served,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(interface.input_names),
            output_names=list(interface.output_names),
            dynamic_shapes=dynamic_shapes(interface),
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _strip(model: onnx.ModelProto) -> None:
    """Removes what the exporter notes about each node: stack traces with paths of this machine."""
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        for each in (
            graph,
            *graph.node,
            *graph.value_info,
            *getattr(graph, "input", ()),
            *getattr(graph, "output", ()),
        ):
            if hasattr(each, "ClearField") and not isinstance(each, str):
                each.ClearField("metadata_props")
                each.ClearField("doc_string")
    for tensor in model.graph.initializer:
        tensor.ClearField("metadata_props")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hides what the exporter prints, logs and warns about."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def onnx_runner(model: bytes, interface: Interface) -> Runner:
    """Returns a function that computes the outputs for inputs with onnxruntime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(arguments: tuple[Tensor, ...]) -> list[Tensor]:
        named = dict(zip(interface.input_names, (each.numpy() for each in arguments), strict=True))
        return [torch.from_numpy(each) for each in session.run(list(interface.output_names), named)]

    return run
