"""Loads a trained network, ready for raw data."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from nnzoo.builders import build_model, choose_device, move_to_device, one_hot_of, output_scale
from nnzoo.config import Config, load_config
from nnzoo.config.choices import changed_features
from nnzoo.config.model import Torchvision
from nnzoo.data import Preprocess, Reader, Samples, TextReader, parse_reader
from nnzoo.data.encode import check_tokens, encode_inputs, encode_lengths, encode_pixels
from nnzoo.data.series.levels import moves, outputs_of_moves
from nnzoo.errors import CheckpointError, DataError, NnzooError, UsageError
from nnzoo.experiment.metadata import Metadata, parse_metadata, read_weights
from nnzoo.experiment.prepare import warn_about
from nnzoo.models.members import Members
from nnzoo.models.parameters import load_weights
from nnzoo.run.directory import find_checkpoint
from nnzoo.training.batches.order import arguments_of, eval_batch_size
from nnzoo.training.evaluate import mirrored
from nnzoo.training.measures.averaging import average_outputs
from nnzoo.training.measures.decoding import Decoder, in_float64

Raw = (
    ArrayLike | Tensor | Mapping[str, Any] | Sequence[Mapping[str, Any]] | os.PathLike[str] | Sequence[os.PathLike[str]]
)
"""Samples as an array; texts; table rows as a data frame, a dict or a list of dicts; file names."""


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with its preprocessing and metadata.

    Attributes:
        module: The nn.Module in evaluation mode; it takes preprocessed inputs.
        preprocess: The fitted preprocessing of raw inputs.
        decoder: Converts outputs into predictions.
        config: The config that the network was trained with.
        metadata: The metadata: shapes, names, metrics, versions.
        path: The file that the weights come from.
        members: The networks of a cross-validation, whose predictions are averaged; empty for a single network. The
            other attributes are then those of the first one.
    """

    module: nn.Module
    preprocess: Preprocess
    decoder: Decoder
    config: Config
    metadata: Metadata
    path: Path
    members: tuple[TrainedModel, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in the order of their indices; empty for regression."""
        return self.metadata.classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one raw sample, without the batch axis."""
        return self.metadata.input_shape

    @property
    def reader(self) -> Reader:
        """The reader of new raw data, which reads it in the same way as the training data."""
        return parse_reader(self.metadata.reader)

    def outputs(self, raw: Raw, lengths: ArrayLike | Tensor | None = None) -> Tensor:
        """Returns the network's outputs on the CPU: (N, K), or (N, T, K) with one output per step.

        Args:
            raw: As in `predict`.
            lengths: As in `predict`.

        Raises:
            DataError: There are no samples, or they have the wrong shape, or contain NaN or infinite values.
        """
        return self._read_and_run(raw, lengths)[1]

    def _read_and_run(self, raw: Raw, lengths: ArrayLike | Tensor | None) -> tuple[Samples, Tensor]:
        if self.members:
            each = [member._read_and_run(raw, lengths) for member in self.members]
            return each[0][0], self.average([outputs for _, outputs in each])
        samples = self.samples_of(raw, lengths)
        return samples, self.decoder.of_roots(self.outputs_of(samples.inputs, samples.lengths))

    def average(self, outputs: Sequence[Tensor]) -> Tensor:
        """Returns the averaged outputs (N, K) of all members on the CPU; those of a single network are unchanged."""
        if not self.members:
            return outputs[0]
        return average_outputs([member.decoder.on_cpu() for member in self.members], outputs)

    @torch.inference_mode()
    def outputs_of(self, inputs: Tensor, steps: Tensor | None = None, *, compact: bool = False) -> Tensor:
        """Returns the network's outputs on the CPU for checked samples (N, *input_shape).

        Args:
            inputs: The samples before preprocessing.
            steps: (N,) the number of valid steps of sequences and tokens; None if all are valid.
            compact: Whether to keep only one prediction per step, see `Decoder.compact`.
        """
        device = next(self.module.parameters()).device
        self.module.eval()
        classes = len(self.classes) if self.metadata.per == "step" else 0
        size = eval_batch_size(inputs, 1, classes_per_step=classes)
        columns, level = changed_features(self.config), None
        if columns is not None and (moved := moves(inputs, columns, self.preprocess)) is not None:
            inputs, level = inputs - moved.unsqueeze(1), outputs_of_moves(moved, columns, self.preprocess)
        forward = self.module if self.config.train.tta is None else mirrored(self.module)
        outputs = []
        for start in range(0, len(inputs), size):
            valid = None if steps is None else steps[start : start + size]
            part = self.preprocess(inputs[start : start + size], valid, first=start).to(device)
            part_outputs = forward(*arguments_of(self.module, part, None if valid is None else valid.to(device)))
            if level is not None:
                part_outputs = in_float64(part_outputs).cpu() + level[start : start + size]
            outputs.append((self.decoder.compact(part_outputs) if compact else part_outputs).cpu())
        return torch.cat(outputs)

    def predict(self, raw: Raw, lengths: ArrayLike | Tensor | None = None) -> NDArray[Any]:
        """Returns predictions for raw samples.

        Args:
            raw: (N, *input_shape) numbers, or data of the kind that the network was trained on: file names, as for
                `nnzoo predict`; N texts (a file must then be a `pathlib.Path`); or rows of a table or series, as a data
                frame, a dict of lists or a list of dicts, or a single row as a dict of values. If the network was
                trained on image files, arrays must be uint8, or floats in [0, 1].
            lengths: (N,) the number of valid steps of sequences and tokens; None if all are valid. Later steps are
                ignored.

        Returns:
            For classes, (N,) class names, or (N, T) with one per step (undefined beyond the length of a sample); for
            multilabel data, (N, K) 0 and 1; for regression, (N,) or (N, K) values in the unit of the targets. For rows
            or files of a series, the forecast of the rows after its end: (H,), or (H, M) for several targets.

        Raises:
            DataError: The samples have the wrong shape, or contain NaN or infinite values.
        """
        samples, outputs = self._read_and_run(raw, lengths)
        if self.decoder.task == "regression":
            values = self.decoder.on_cpu().values(outputs).numpy()
            values = values.reshape(-1, len(samples.row_targets)) if samples.row_targets else values
            return values[:, 0] if values.shape[1] == 1 else values
        labels = self.decoder.labels(outputs).numpy()
        return labels if self.decoder.task == "multilabel" else np.array(self.classes)[labels]

    def predict_proba(self, raw: Raw, lengths: ArrayLike | Tensor | None = None) -> NDArray[Any]:
        """Returns the probability of each class: (N, K), or (N, T, K) with one prediction per step.

        Args:
            raw: As in `predict`.
            lengths: As in `predict`.

        Raises:
            DataError: The samples have the wrong shape, or contain NaN or infinite values.
            UsageError: The network does not predict probabilities.
        """
        return self.decoder.probabilities(self.outputs(raw, lengths)).numpy()

    def samples_of(self, raw: Raw, lengths: ArrayLike | Tensor | None = None) -> Samples:
        """Returns raw samples as tensors, before preprocessing, and logs the warnings about them.

        Args:
            raw: As in `predict`.
            lengths: As in `predict`.

        Raises:
            DataError: There are no samples, or they have the wrong shape, or contain NaN or infinite values.
        """
        reader, schema = self.reader, self.metadata.data_schema
        samples = reader.from_rows(raw, schema)
        if samples is None and (paths := _paths(raw, texts=isinstance(reader, TextReader))):
            samples = reader.read(paths, schema, labelled=False)
            if samples.broken:  # predictions are matched with inputs by their order
                raise DataError(" ".join(samples.broken))
        if samples is None and self.metadata.layout == "tree":
            raise DataError("trees are read from files. Pass a file name.", where="predict")
        if samples is None:
            array = _array(raw)
            is_text = array.dtype.kind == "U" and array.ndim == 1
            samples = reader.from_texts(array.tolist()) if is_text else self._from_array(array, lengths)
        warn_about(samples)
        return samples

    def _from_array(self, array: NDArray[Any], lengths: ArrayLike | Tensor | None) -> Samples:
        if array.shape[1:] != self.input_shape:
            shown = ", ".join(map(str, ("N", *self.input_shape)))
            raise DataError(f"expected samples of shape ({shown}), got {array.shape}.", where="predict")
        layout = self.metadata.layout
        steps = None
        if lengths is not None:
            given = _array(lengths)
            if len(given) != len(array):
                message = f"expected one length per sample, {len(array)} in all (got shape {given.shape})."
                raise DataError(message, where="predict: lengths")
            steps = encode_lengths(given, array, layout, where="predict: lengths")
        if self.reader.pixels:
            inputs = encode_pixels(array, where="predict")
        else:
            inputs = encode_inputs(array, layout, lengths=steps, where="predict")
        if layout == "tokens":
            check_tokens(inputs, largest=self.metadata.num_tokens - 1, where="predict")
        return Samples(inputs, range(len(inputs)), lengths=steps)


def _paths(raw: object, *, texts: bool) -> list[Path]:
    """Returns the file names in `raw`, or an empty list if there are none. If `texts` is set, a str is a text."""
    named = [raw] if isinstance(raw, str | os.PathLike) else raw
    kinds: Any = os.PathLike if texts else (str, os.PathLike)
    if not isinstance(named, Sequence) or not all(isinstance(each, kinds) for each in named):
        return []
    return [Path(each) for each in named]


def _array(values: Raw) -> NDArray[Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        # NumPy has no bfloat16; float64 stays float64.
        values = values.float() if values.is_floating_point() and values.dtype.itemsize < 4 else values
    try:
        return np.atleast_1d(np.asarray(cast("ArrayLike", values)))
    except (TypeError, ValueError):
        raise DataError("expected numbers in an array.", where="predict") from None


def load(
    checkpoint: str | os.PathLike[str],
    *,
    runs_dir: str | os.PathLike[str] = "runs",
    model: nn.Module | None = None,
    device: str | None = "cpu",
) -> TrainedModel:
    """Loads a trained network.

    Args:
        checkpoint: A run directory (its best weights), best.safetensors, last.safetensors, `zoo:NAME`, a run's name, or
            `latest`.
        runs_dir: The directory in which run names are looked up.
        model: The custom module, if the network is a custom module; its weights are replaced.
        device: auto, cpu, cuda, cuda:N or mps; None for the device used in training, or auto if that device does not
            exist.

    Raises:
        UsageError: There is no such checkpoint, or the module is missing.
        CheckpointError: The file is damaged, was not written by nnzoo, is of a newer version, or does not fit the
            module.
    """
    path = find_checkpoint(os.fspath(checkpoint), Path(runs_dir))
    weights, fitted, metadata = read_weights(path)
    if not metadata.folds:
        return _trained(weights, fitted, metadata, path, model, device)
    members = []
    for index, values in enumerate(metadata.folds):
        prefix = f"{index}."
        own, own_fitted = (
            {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
            for tensors in (weights, fitted)
        )
        own_metadata = parse_metadata(values, path)
        members.append(_trained(own, own_fitted, own_metadata, path, copy.deepcopy(model), device))
    config = load_config(metadata.config, custom_model=model is not None)
    module = Members([member.module for member in members]).eval()
    return replace(members[0], module=module, config=config, metadata=metadata, members=tuple(members))


def _trained(
    weights: dict[str, Tensor],
    fitted: dict[str, Tensor],
    metadata: Metadata,
    path: Path,
    model: nn.Module | None,
    device: str | None,
) -> TrainedModel:
    """Builds a network and loads its weights."""
    where = str(path)
    section = metadata.config.get("model")
    custom = isinstance(section, dict) and section.get("name") == "custom"
    if custom and model is None:
        raise UsageError(
            "these are the weights of a custom module. Pass it: nnzoo.load(path, model=MyModule()).", where=where
        )
    try:
        config = load_config(metadata.config, custom_model=custom)
        preprocess = Preprocess(fitted)
        module = _build(config, metadata, weights) if model is None else model
        load_weights(module, weights)
    except (RuntimeError, AttributeError, TypeError) as error:
        reason = str(error).split("\n")[1:2] or [str(error)]
        raise CheckpointError(f"the weights don't fit the network: {reason[0].strip()}", where=where) from None
    except NnzooError:
        raise CheckpointError("damaged: the metadata does not describe a network.", where=where) from None
    target = choose_device(_device_of(config) if device is None else device)
    decoder = Decoder(metadata.task, output_scale(config), len(metadata.classes), preprocess, metadata.per).on(target)
    return TrainedModel(move_to_device(config, module, target).eval(), preprocess, decoder, config, metadata, path)


def _build(config: Config, metadata: Metadata, weights: dict[str, Tensor]) -> nn.Module:
    """Builds the network after checking that the weights fit, since even a small file could describe a huge network."""
    one_hot = one_hot_of(config, parse_reader(metadata.reader).one_hot)
    shape = (metadata.network_input_shape, metadata.num_outputs, metadata.num_tokens, metadata.per, one_hot)
    # torchvision computes the widths of RegNets with tensors, which fails on the meta device.
    if not (isinstance(config.model, Torchvision) and config.model.arch.startswith("regnet")):
        with torch.device("meta"):
            meta_module = build_model(config, *shape, download=False)
        load_weights(meta_module, weights, assign=True)
    # The initial values are replaced next, so the global random state must not change.
    with torch.random.fork_rng(devices=()):
        return build_model(config, *shape, download=False)


def _device_of(config: Config) -> str:
    try:
        choose_device(config.train.device)
    except UsageError:
        return "auto"
    return config.train.device
