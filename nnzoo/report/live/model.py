"""The trained network as JSON for the page: layers, weights, preprocessing, controls and samples."""

from __future__ import annotations

import json
from typing import Any

from nnzoo.config.choices import changed_features
from nnzoo.data.series.levels import FAR
from nnzoo.models.parameters import takes_lengths
from nnzoo.report.inside.network import Network
from nnzoo.report.live.encoding import encoded
from nnzoo.report.live.formats import UnsupportedInputError
from nnzoo.report.live.inputs import input_of, samples_of
from nnzoo.report.live.layers import UnsupportedLayerError, Weights, fitted, layers_of

MAX_BYTES = 1_000_000
"""Networks with more bytes of weights are not put into the page."""


def model_of(network: Network) -> dict[str, Any] | str:
    """Returns the network as the JavaScript of the page reads it, or the reason why the page can't compute it."""
    module, dataset, preprocess = network.module, network.dataset, network.experiment.preprocess
    size = sum(4 * each.numel() for each in module.state_dict().values())
    size += sum(8 * each.numel() for each in preprocess.state_dict().values())
    if size > MAX_BYTES:
        return f"it has {size / 1e6:.1f} MB of weights and preprocessing (at most {MAX_BYTES / 1e6:g} MB)"
    if network.experiment.settings.mirrored:
        return "with train.tta, its answers are averages over an image and its mirror image"
    if not preprocess.is_linear:
        return f"the page can't compute normalize: {network.experiment.config.preprocess.normalize}"
    weights = Weights()
    try:
        description = input_of(network)
        layers = layers_of(module, weights, dataset.layout)
    except (UnsupportedLayerError, UnsupportedInputError) as error:
        return error.message.removesuffix(".")
    decoder = network.decoder
    return {
        "task": decoder.task,
        "reads": decoder.reads,
        "per": decoder.per,
        "cutoff": decoder.cutoff,
        "question": _question(network),
        "classes": dataset.classes,
        "targets": dataset.target_names,
        "numOutputs": network.experiment.num_outputs,
        "target": {"shift": fitted(preprocess.target_shift), "scale": fitted(preprocess.target_scale)},
        "scale": _scale(network),
        "far": _far(network),
        "takesLengths": takes_lengths(module),
        "input": description,
        "samples": samples_of(network, description),
        "samplesFrom": f"Start from a sample of {network.run.split}",
        "layers": layers,
        "weights": weights.encoded(),
    }


def _question(network: Network) -> str | None:
    """Returns the name of the column that is predicted; None if there is not exactly one, or it has only a number."""
    target = getattr(network.dataset.reader, "target", None)
    names = (target,) if isinstance(target, str) else tuple(target or ())
    is_named = len(names) == 1 and not names[0].isdecimal()
    return names[0] if is_named and network.decoder.task == "classification" else None


def _scale(network: Network) -> dict[str, Any]:
    preprocess = network.experiment.preprocess
    matrix = preprocess.components if preprocess.whitening is None else preprocess.whitening
    return {
        "bytes": "uint8" in str(network.dataset.train.inputs.dtype),
        "shift": fitted(preprocess.shift),
        "scale": fitted(preprocess.scale),
        "mean": None if preprocess.mean is None else encoded(preprocess.mean.double().numpy()),
        "matrix": None if matrix is None else encoded(matrix.double().numpy()),
    }


def _far(network: Network) -> dict[str, Any] | None:
    """Returns how windows of a series that are far from the training rows are shifted; None for other networks."""
    columns = changed_features(network.experiment.config)
    if columns is None:
        return None
    shift, scale, _, target_scale = network.experiment.preprocess.units(network.dataset.input_shape[-1], len(columns))
    return {
        "columns": columns,
        "shift": shift.tolist(),
        "scale": scale.tolist(),
        "targetScale": target_scale.tolist(),
        "distance": FAR,
    }


def as_json(model: dict[str, Any]) -> str:
    """Returns the model as JSON that can't end the script element that contains it, whatever its texts are."""
    text = json.dumps(model, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
