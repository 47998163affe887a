"""Exports a trained network to files that other programs run."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from nnzoo import log
from nnzoo.data import Dataset, Split
from nnzoo.errors import GateError, UsageError
from nnzoo.experiment.load import TrainedModel
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.export.built import Built
from nnzoo.export.description import description
from nnzoo.export.parity import Parity, compare, samples_of, training_data
from nnzoo.export.quantize import Quantized, measured, quantized
from nnzoo.export.served import Interface, interface_of
from nnzoo.run.files import atomic_file, finite

Format = Literal["onnx", "torch", "js"]
SUFFIXES: dict[Format, tuple[str, ...]] = {
    "onnx": (".onnx", ".onnx.json"),
    "torch": (".pt2", ".pt2.json"),
    "js": (".js", ".js.json", ".html"),
}
"""The suffixes of the files of each format; that of the network first."""


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        checkpoint: The file that the weights come from.
        format: The format.
        files: The files that were written, with their sizes in bytes.
        parity: The comparison with nnzoo.
        runtime: What computed the exported network for the comparison.
        quantized: What 8-bit weights cost; None with float weights. `parity` is that of the float weights.
    """

    checkpoint: str
    format: Format
    files: dict[str, int]
    parity: Parity
    runtime: str
    quantized: Quantized | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns the object of `export --json`."""
        quantized = None if self.quantized is None else vars(self.quantized)
        return {**vars(self), "parity": self.parity.as_dict(), "quantized": quantized}


def export_network(
    trained: TrainedModel,
    *,
    form: Format,
    output: str | os.PathLike[str],
    quantize: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Writes a trained network to files, after it has computed the same as nnzoo.

    Args:
        trained: The network, on the CPU.
        form: The format.
        output: The file of the network. The other files have the same name with other suffixes.
        quantize: Whether weights become 8-bit integers, for ONNX. The float weights are compared with nnzoo first.
        overwrite: Whether existing files are replaced.

    Raises:
        UsageError: The network can't be exported, a file exists, or a package is missing.
        GateError: The exported network computes something else. No file is written.
    """
    paths = output_files(form, Path(output), overwrite=overwrite)
    if quantize and form != "onnx":
        raise UsageError(f"is for --format onnx (got {form}).", where="--quantize")
    interface = interface_of(trained)
    if form == "js":
        interface = replace(interface, columns=None, any_length=False)
    with log.recording(quiet=True), use_threads(threads_of_data(trained.config)):
        data = training_data(trained)
        samples, source = samples_of(trained, interface, data)
        built = _built(trained, interface, form, samples, paths[0].name)
        parity = compare(trained, interface, built.run, samples, source)
        exported = Exported(str(trained.path), form, {}, parity, built.runtime)
        if not parity.passed:
            message = (
                f"the exported network differs from nnzoo (got {parity.difference:.2g}, allowed {parity.limit:g}; "
                f"{parity.measure}). No file was written."
            )
            raise GateError(message, where=str(trained.path), result=exported.as_dict())
        files = built.files
        if quantize:
            content, cost = _quantized(trained, interface, built, data)
            files, exported = (content, *files[1:]), replace(exported, quantized=cost)
    for path, each in zip(paths, files, strict=True):
        with atomic_file(path) as file:
            file.write(each)
    return replace(exported, files={str(path): path.stat().st_size for path in paths})


def _quantized(
    trained: TrainedModel, interface: Interface, built: Built, data: Dataset | str
) -> tuple[bytes, Quantized]:
    """Returns the network with 8-bit weights, and what they cost."""
    from nnzoo.export.onnx_file import onnx_runner

    content = quantized(built.files[0], trained.config.model.name)
    before = (len(built.files[0]), built.run)
    return content, measured(trained, interface, data, before, onnx_runner(content, interface))


def output_files(form: Format, output: Path, *, overwrite: bool) -> list[Path]:
    """Returns the files of an export, the network first.

    Raises:
        UsageError: A file exists, or the output can't be a file.
    """
    where = f"--output {output}"
    if output.is_dir():
        raise UsageError("is a folder. Pass the path of a file.", where=where)
    if not output.parent.is_dir():
        raise UsageError(f"the folder {output.parent} does not exist. Create it first.", where=where)
    first, *others = SUFFIXES[form]
    if output.suffix in others:
        raise UsageError(f"{output.suffix} is the suffix of another file of this format. Use {first}.", where=where)
    paths = [output, *(output.with_suffix(each) for each in others)]
    existing = [str(path) for path in paths if path.exists()]
    if existing and not overwrite:
        raise UsageError(
            f"{' and '.join(existing)} already {'exist' if len(existing) > 1 else 'exists'}. Choose another name with "
            "--output, or pass --overwrite.",
            where="export",
        )
    return paths


def _built(trained: TrainedModel, interface: Interface, form: Format, samples: Split, name: str) -> Built:
    """Returns the exported network.

    Args:
        trained: The network.
        interface: Its inputs and outputs.
        form: The format.
        samples: Samples of the run.
        name: The name of the file.
    """
    if form == "js":
        from nnzoo.export.js_file import build_js

        return build_js(trained, interface, name)
    text = json.dumps(finite(description(trained, interface)), ensure_ascii=False, allow_nan=False)
    example = _example(interface, samples)
    if form == "torch":
        from nnzoo.export.torch_file import build_torch

        return build_torch(trained, interface, example, text)
    from nnzoo.export.onnx_file import build_onnx

    return build_onnx(trained, interface, example, text)


def _example(interface: Interface, samples: Split) -> tuple[Tensor, ...]:
    """Returns inputs to trace the network with: several samples, and a different number of steps."""
    inputs, lengths = samples.inputs, samples.lengths
    count = 3 if interface.shape[0] != 3 else 4
    rows = torch.arange(count) % len(inputs)
    inputs, lengths = inputs[rows], None if lengths is None else lengths[rows]
    while interface.any_length and inputs.shape[1] < 5:
        inputs = torch.cat([inputs, inputs], dim=1)
    return interface.arguments(inputs, lengths)
