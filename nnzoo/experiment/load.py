"""A trained network, ready to be used on raw data."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from nnzoo.build import build_model, choose_device, output_scale
from nnzoo.config import Config, load_config
from nnzoo.data import Preprocess
from nnzoo.errors import CheckpointError, DataError, NnzooError, UsageError
from nnzoo.run.artifact import load_artifact
from nnzoo.run.checkpoint import load_checkpoint
from nnzoo.run.directory import CHECKPOINT, find_checkpoint
from nnzoo.training.batches import eval_batch_size
from nnzoo.training.decoding import Decoder


@dataclass(frozen=True)
class TrainedModel:
    """A network with its preprocessing and its names.

    Attributes:
        module: The nn.Module in evaluation mode: preprocessed inputs to outputs.
        preprocess: Raw inputs to preprocessed ones.
        decoder: Outputs to answers.
        config: What it was trained with.
        metadata: Of the artifact: shapes, names, metrics, versions.
        path: The file that it was read from.
    """

    module: nn.Module
    preprocess: Preprocess
    decoder: Decoder
    config: Config
    metadata: dict[str, Any]
    path: Path

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of their indices; empty for regression."""
        return tuple(self.metadata["classes"])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One raw sample, without the batch axis."""
        return tuple(self.metadata["input_shape"])

    @torch.inference_mode()
    def outputs(self, raw: ArrayLike | Tensor) -> Tensor:
        """The network's outputs (N, K) on the CPU, for raw samples (N, *input_shape).

        Raises:
            DataError: The samples have another shape, or hold NaN or infinite values.
        """
        inputs = self._inputs(raw)
        device = next(self.module.parameters()).device
        parts = torch.split(inputs, eval_batch_size(inputs, 1)) if len(inputs) else (inputs,)
        return torch.cat([self.module(self.preprocess(part.to(device))).cpu() for part in parts])

    def predict(self, raw: ArrayLike | Tensor) -> NDArray[Any]:
        """Answers for raw samples (N, *input_shape).

        Returns:
            (N,) class names; (N, K) 0 and 1 where a sample may have several labels; (N,) or (N, K) values in the
            target's own unit.

        Raises:
            DataError: The samples have another shape, or hold NaN or infinite values.
        """
        outputs = self.outputs(raw)
        if self.decoder.task == "regression":
            values = self.decoder.on_cpu().values(outputs).numpy()
            return values[:, 0] if values.shape[1] == 1 else values
        labels = self.decoder.labels(outputs).numpy()
        return labels if self.decoder.task == "multilabel" else np.array(self.classes)[labels]

    def predict_proba(self, raw: ArrayLike | Tensor) -> NDArray[Any]:
        """(N, K) the probability of each class, for raw samples (N, *input_shape).

        Raises:
            DataError: The samples have another shape, or hold NaN or infinite values.
            UsageError: This network gives no probabilities.
        """
        return self.decoder.probabilities(self.outputs(raw)).numpy()

    def _inputs(self, raw: ArrayLike | Tensor) -> Tensor:
        try:
            inputs = torch.as_tensor(raw if isinstance(raw, Tensor) else np.asarray(raw))
        except (TypeError, ValueError):
            raise DataError("expected numbers in an array.", where="predict") from None
        if tuple(inputs.shape[1:]) != self.input_shape:
            expected = ("N", *self.input_shape)
            shown = ", ".join(map(str, expected))
            raise DataError(f"expected samples of the shape ({shown}), got {tuple(inputs.shape)}.", where="predict")
        inputs = inputs.long() if self.metadata["layout"] == "tokens" else inputs.float()
        finite = inputs.flatten(1).isfinite().all(1)
        if not finite.all():
            raise DataError(f"NaN or infinite in row {int((~finite).nonzero()[0])}.", where="predict")
        return inputs


def load(
    checkpoint: str | os.PathLike[str],
    *,
    runs_dir: str | os.PathLike[str] = "runs",
    model: nn.Module | None = None,
    device: str = "cpu",
) -> TrainedModel:
    """Reads a trained network.

    Args:
        checkpoint: A run directory (its best weights), a best.safetensors or last.pt, a run's name, or `latest`.
        runs_dir: Where names are looked up.
        model: Your own module, where the network was one; its weights are replaced.
        device: auto, cpu, cuda, cuda:N or mps.

    Raises:
        UsageError: There is no such checkpoint, or the module is missing or another one.
        CheckpointError: It is damaged, no file of nnzoo, or of a newer version.
    """
    path = find_checkpoint(os.fspath(checkpoint), Path(runs_dir))
    weights, fitted, metadata = _read(path)
    try:
        custom = metadata["config"]["model"]["name"] == "custom"
        config = load_config(metadata["config"], custom_model=custom)
        input_shape, outputs = tuple(metadata["network_input_shape"]), metadata["num_outputs"]
        preprocess = Preprocess(fitted)
    except (KeyError, TypeError, NnzooError):
        raise CheckpointError("damaged: its metadata does not describe a network.", where=str(path)) from None
    if custom and model is None:
        raise UsageError(
            "these are the weights of a module of your own. Pass it: nnzoo.load(path, model=MyModule()).",
            where=str(path),
        )
    module = model if model is not None else build_model(config, input_shape, outputs)
    try:
        module.load_state_dict(weights)
    except (RuntimeError, AttributeError) as error:
        reason = str(error).split("\n")[1:2] or [str(error)]
        raise CheckpointError(f"the weights don't fit the network: {reason[0].strip()}", where=str(path)) from None
    target = choose_device(device)
    decoder = Decoder(metadata["task"], output_scale(config), len(metadata["classes"]), preprocess.to(target))
    return TrainedModel(module.to(target).eval(), preprocess, decoder, config, metadata, path)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    """Weights, fitted preprocessing and metadata of an artifact or a checkpoint."""
    if path.suffix == Path(CHECKPOINT).suffix:
        state = load_checkpoint(path)
        try:
            return state["model"], state["preprocess"], json.loads(state["metadata"])
        except (KeyError, TypeError, ValueError):
            raise CheckpointError("damaged: parts are missing.", where=str(path)) from None
    artifact = load_artifact(path)
    return artifact.weights, artifact.preprocess, artifact.metadata
