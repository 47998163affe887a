"""Quantizes the weights of an ONNX model to 8 bits, and measures what that costs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nnzoo.builders import build_settings
from nnzoo.data import Dataset, Preprocess
from nnzoo.errors import UsageError
from nnzoo.experiment.load import TrainedModel
from nnzoo.experiment.train.record import PREDICTED_SPLITS
from nnzoo.export.built import Runner
from nnzoo.export.served import Interface
from nnzoo.numbers import number
from nnzoo.training.batches.order import eval_batch_size
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.metrics import MetricSums

_OPERATORS = ["MatMul", "Gemm", "Conv", "LSTM", "Gather"]


@dataclass(frozen=True)
class Quantized:
    """What 8-bit weights cost.

    Attributes:
        split: The split that was measured; None if the data can't be read again.
        num_samples: The number of its samples.
        metrics: The metrics with 8-bit weights.
        float_metrics: The metrics of the exported network before.
        float_bytes: The size of the network before.
        reason: Why nothing was measured; empty if it was.
    """

    split: str | None
    num_samples: int
    metrics: dict[str, float]
    float_metrics: dict[str, float]
    float_bytes: int
    reason: str = ""

    def describe(self, size: int) -> str:
        """Returns one line for the user.

        Args:
            size: The size of the network in bytes.
        """
        smaller = f"8-bit weights: {size / 1e3:.0f} kB instead of {self.float_bytes / 1e3:.0f} kB"
        if self.split is None:
            return f"{smaller}; their effect was not measured: {self.reason}"
        pairs = [
            f"{name} {number(value)} instead of {number(self.float_metrics[name])}"
            for name, value in self.metrics.items()
        ]
        return f"{smaller}; on {self.num_samples} samples of {self.split}: {', '.join(pairs)}"


def quantized(model: bytes, kind: str) -> bytes:
    """Returns an ONNX model with the weights of its layers as 8-bit integers (onnxruntime's dynamic quantization).

    Args:
        model: The model.
        kind: The model section's name, for the message.

    Raises:
        UsageError: The model has no layer that can be quantized.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    loaded = onnx.load_from_string(model)
    kept = _float64_nodes(loaded)
    types = {each.op_type for each in loaded.graph.node if each.name not in kept}
    with tempfile.TemporaryDirectory() as folder, _quiet():
        output = Path(folder) / "model.onnx"
        quantize_dynamic(
            loaded,
            output,
            op_types_to_quantize=_OPERATORS,
            # onnxruntime has no kernel for convolutions with signed weights.
            weight_type=QuantType.QUInt8 if "Conv" in types else QuantType.QInt8,
            nodes_to_exclude=sorted(kept),
            extra_options={"MatMulConstBOnly": True},
        )
        content = output.read_bytes()
    before = {each.op_type for each in loaded.graph.node}
    after = {each.op_type for each in onnx.load_from_string(content).graph.node}
    if not (after - before) & {"DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DequantizeLinear"}:
        raise UsageError(
            f"{kind} has no layer that onnxruntime quantizes ({', '.join(_OPERATORS)}). Leave out --quantize.",
            where="--quantize",
        )
    return content


def _float64_nodes(model: Any) -> set[str]:
    """Returns the names of the nodes that compute in float64, such as PCA, which stay as they are."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    double = {each.name for each in values if each.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE}
    double |= {each.name for each in graph.initializer if each.data_type == onnx.TensorProto.DOUBLE}
    return {node.name for node in graph.node if double & {*node.input, *node.output}}


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the warnings that onnxruntime logs with the root logger."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        root.setLevel(before)


def measured(
    trained: TrainedModel, interface: Interface, data: Dataset | str, before: tuple[int, Runner], after: Runner
) -> Quantized:
    """Measures the metrics of the run with and without 8-bit weights, on test (or val or train).

    Args:
        trained: The network.
        interface: The inputs and outputs of the exported network.
        data: The data of the run, or why it can't be read.
        before: The size of the network with float weights, and what runs it.
        after: Runs the network with 8-bit weights.
    """
    size, run = before
    if isinstance(data, str):
        return Quantized(None, 0, {}, {}, size, data)
    split = next(name for name in PREDICTED_SPLITS if name in data.splits)
    metrics = [_metrics(trained, interface, data, split, each) for each in (after, run)]
    return Quantized(split, len(data.splits[split]), metrics[0], metrics[1], size)


def _metrics(trained: TrainedModel, interface: Interface, data: Dataset, split: str, run: Runner) -> dict[str, float]:
    part = data.splits[split]
    decoder = trained.decoder
    reads = {"probabilities": "probabilities", "values": "values", "margins": decoder.reads}[interface.scores]
    decoder = Decoder(decoder.task, reads, decoder.num_classes, Preprocess(), decoder.per)  # type: ignore[arg-type]
    sums = MetricSums(build_settings(trained.config).metrics, decoder)
    classes = decoder.num_classes if decoder.per == "step" else 0
    size = eval_batch_size(torch.empty(1, *trained.input_shape), 64, classes_per_step=classes)
    for start in range(0, len(part), size):
        rows = slice(start, start + size)
        lengths = None if part.lengths is None else part.lengths[rows]
        scores = run(interface.arguments(part.inputs[rows], lengths))[0]
        sums.add(scores, part.truth[rows])
    return sums.result()
