"""Starts training from the weights of another run (`model.pretrained`)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nnzoo import log
from nnzoo.config import Config, dump, load_config
from nnzoo.config.load import problems_of
from nnzoo.config.model import PRETRAINED, is_run_name
from nnzoo.data import Dataset, parse_reader, reader_of
from nnzoo.errors import UsageError
from nnzoo.experiment.metadata import Metadata, read_weights
from nnzoo.experiment.pretrained.matching import Match, MismatchError, Signature, listed, match_inputs, match_outputs
from nnzoo.experiment.pretrained.transfer import Transfer
from nnzoo.models.inputs import input_weights
from nnzoo.models.members import no_single_network
from nnzoo.models.relative_forecast import RelativeForecast
from nnzoo.models.tabular import TabularNet
from nnzoo.run.directory import ARTIFACT, CONFIG, find_checkpoint
from nnzoo.run.torch_file import SUFFIXES as TORCH_SUFFIXES
from nnzoo.run.torch_file import read_state_dict
from nnzoo.run.zoo import PREFIX

# Keys that may differ without a warning: they are specific to a run or the last layer, or change shapes.
_IGNORED_KEYS = {
    "name",
    "pretrained",
    "freeze",
    "freeze_epochs",
    "dropout",
    "output",
    "embedding",
    "weights",
    "hidden",
    "layers",
    "scale_target",
}


def with_checkpoint(config: Config, runs_dir: Path, resumed: Path | None = None) -> Config:
    """Returns the config with the path of the checkpoint in place of its name, so that the run can be repeated.

    `embedding: auto` is replaced by the embedding size of the checkpoint.

    Args:
        config: The loaded config.
        runs_dir: The directory in which run names are looked up.
        resumed: The run to resume. It already has the weights, so the checkpoint may no longer exist, and `latest` may
            refer to a different run.

    Raises:
        ConfigError: There is no such checkpoint.
        RunError: The run has no weights yet.
    """
    pretrained = config.model.pretrained
    if pretrained is None:
        return config
    if resumed is not None and (resumed / CONFIG).is_file():
        recorded = load_config(resumed / CONFIG).model
        if recorded.pretrained is not None and _may_name(pretrained, Path(recorded.pretrained)):
            return _update_model(config, pretrained=recorded.pretrained, **_embedding(config, recorded))
    path = find_pretrained(config, pretrained, runs_dir).absolute()
    # Shipped weights keep their name, which is valid on other machines too.
    kept = pretrained if pretrained.startswith(PREFIX) else str(path)
    return _update_model(with_embedding(config, runs_dir), pretrained=kept)


def with_embedding(config: Config, runs_dir: str | Path = "runs") -> Config:
    """Returns the config with the embedding size of the checkpoint in place of `auto`.

    `auto` would depend on the size of the vocabulary, which may differ.

    Raises:
        ConfigError: There is no such checkpoint.
        CheckpointError: The file is damaged, was not written by nnzoo, or is of a newer version.
    """
    if config.model.pretrained is None or getattr(config.model, "embedding", None) != "auto":
        return config
    path = find_pretrained(config, config.model.pretrained, Path(runs_dir))
    if path.suffix in TORCH_SUFFIXES:
        return config
    _, _, metadata = read_weights(path)
    return _update_model(config, **_embedding(config, metadata.config.get("model")))


def _embedding(config: Config, other: object) -> dict[str, object]:
    """Returns the embedding size of `other` if the embedding size of the config is `auto`."""
    size = other.get("embedding") if isinstance(other, dict) else getattr(other, "embedding", None)
    return {"embedding": size} if getattr(config.model, "embedding", None) == "auto" and isinstance(size, int) else {}


def check_not_overwritten(config: Config, folder: Path) -> None:
    """Checks that the run does not overwrite its own pretrained weights, so that it can be repeated.

    Raises:
        ConfigError: The weights are in the folder that would be replaced.
    """
    pretrained = config.model.pretrained
    if pretrained is not None and Path(pretrained).resolve().parent == folder.resolve():
        problem = f"{pretrained} is in the run that --overwrite would replace. Use another --name for the new run."
        raise problems_of(config, [(PRETRAINED, problem)])


def _update_model(config: Config, **values: object) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update=values)})


def _may_name(pretrained: str, file: Path) -> bool:
    """Returns whether a value of `model.pretrained` may have been resolved to this file."""
    is_named = is_run_name(pretrained) and pretrained in ("latest", file.parent.name)
    return is_named or file in (Path(pretrained), Path(pretrained) / ARTIFACT)


def find_pretrained(config: Config, pretrained: str, runs_dir: Path) -> Path:
    """Returns the file of `model.pretrained`: a state dict or a checkpoint.

    Raises:
        ConfigError: There is no such file or run.
        RunError: The run has no weights yet.
    """
    path = Path(pretrained)
    if path.suffix in TORCH_SUFFIXES and path.is_file():
        return path
    try:
        return find_checkpoint(pretrained, runs_dir)
    except UsageError as error:
        raise problems_of(config, [(PRETRAINED, str(error))]) from None


def load_pretrained(
    config: Config, module: nn.Module, dataset: Dataset | None, runs_dir: str | Path = "runs"
) -> frozenset[str]:
    """Copies the weights of `model.pretrained`, if it is set, into a new network.

    Inputs are matched by name: columns and their categories, features of a series, tokens of a vocabulary. Weights of
    new inputs keep their initial values, and weights of missing inputs are dropped. Inputs are matched by position if
    the checkpoint or the new data has no names, or if the network reads principal components.

    Preprocessing is fitted to the new data, as usual in fine-tuning. With standardized inputs, a weight applies to
    standard deviations from the mean of the new training data, so dropping an input is the same as setting it to its
    mean.

    The outputs of the last layer (classes, labels or regression targets) are matched by name too. If none matches, the
    last layer keeps its initial values. All other tensors, including buffers such as the statistics of batch norm, must
    have the same name and shape.

    Args:
        config: The config of the new network.
        module: The network; it is changed in place.
        dataset: The new training data; None keeps the initial last layer and matches inputs by position.
        runs_dir: The directory in which run names are looked up.

    Returns:
        The names of the tensors that were copied, entirely or in part.

    Raises:
        ConfigError: There is no such checkpoint, or it does not fit this network or this data.
        CheckpointError: The file is damaged, was not written by nnzoo, or is of a newer version.
    """
    if config.model.pretrained is None:
        return frozenset()
    path = find_pretrained(config, config.model.pretrained, Path(runs_dir))
    prefix = "network." if isinstance(module, RelativeForecast) else ""
    module = module.network if isinstance(module, RelativeForecast) else module
    data = None
    if dataset is not None:
        data = Signature(dataset.schema, reader_of(dataset), config.preprocess.pca is not None)
    start = _start_of_state_dict if path.suffix in TORCH_SUFFIXES else _start_of_checkpoint
    transfer, tensors, how = start(config, module, path, data)
    own = module.state_dict()
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)
    log.info("%s", "; ".join(filter(None, [f"weights of {path}", how, transfer.describe()])))
    for line in transfer.changes():
        log.warning("model.pretrained: %s", line)
    return frozenset(f"{prefix}{name}" for name in tensors)


def _start_of_checkpoint(
    config: Config, module: nn.Module, path: Path, data: Signature | None
) -> tuple[Transfer, dict[str, Tensor], str]:
    """Fits the weights of an nnzoo checkpoint to the network. The string describes how inputs were matched."""
    weights, _, metadata = read_weights(path)
    if metadata.folds:
        raise problems_of(config, [(PRETRAINED, f"{path}: {no_single_network(len(metadata.folds))}")])
    checkpoint = Signature(
        metadata.data_schema, parse_reader(metadata.reader), _has_pca(metadata.config.get("preprocess"))
    )
    try:
        inputs, how = _match_inputs(checkpoint, data, module)
        # The units of a series are fitted to the new data.
        own = RelativeForecast.weights_of_network(weights)
        entries: dict[str, tuple[int, ...]] = {}
        if isinstance(module, TabularNet):
            one_hot = () if checkpoint.projected else checkpoint.reader.one_hot
            theirs = module.input_weights(metadata.network_input_shape[0], one_hot)
            entries = {each.name: each.inputs for each in theirs if each.inputs is not None}
        transfer = Transfer(config, module, own, inputs, *match_outputs(checkpoint, data), entries)
        tensors = transfer.tensors()
    except MismatchError as error:
        hint = f"`nnzoo summary {path}` shows the checkpoint."
        raise problems_of(config, [(PRETRAINED, f"{path}: {error} {hint}")]) from None
    _check_config(config, metadata, path)
    return transfer, tensors, how


def _start_of_state_dict(
    config: Config, module: nn.Module, path: Path, data: Signature | None
) -> tuple[Transfer, dict[str, Tensor], str]:
    """Fits a state dict from another program, which has no names of inputs and classes."""
    weights = read_state_dict(path)
    outputs = Match(data.outputs, data.outputs, "output") if data else None
    transfer = Transfer(config, module, weights, None, outputs, "" if data else "the data is not known")
    try:
        tensors = transfer.tensors()
    except MismatchError as error:
        raise problems_of(config, [(PRETRAINED, f"{path}: {error} The file contains {listed([*weights])}.")]) from None
    if transfer.outputs is not None:
        log.warning(
            "model.pretrained: %s does not name its inputs and outputs. They are assumed to be those of this data, in "
            "the same order.",
            path,
        )
    return transfer, tensors, "inputs by position, since the file does not name them"


def _has_pca(preprocess: object) -> bool:
    """Returns whether a preprocess section, given as plain values, uses PCA."""
    return isinstance(preprocess, dict) and preprocess.get("pca") is not None


def _match_inputs(checkpoint: Signature, data: Signature | None, module: nn.Module) -> tuple[Match | None, str]:
    if data is None:
        return None, "inputs by position, since the data is not known"
    return match_inputs(checkpoint, data, can_match=bool(input_weights(module)))


def _check_config(config: Config, metadata: Metadata, path: Path) -> None:
    """Warns about settings that change the meaning of weights but not their shapes.

    Raises:
        ConfigError: The weights are of torchvision's GoogLeNet or Inception, which scale their inputs.
    """
    for section in ("data", "model", "preprocess"):
        ours, theirs = dump(getattr(config, section)), metadata.config.get(section)
        if not isinstance(ours, dict) or not isinstance(theirs, dict):
            continue
        if ours.get("arch") in ("googlenet", "inception_v3") and theirs.get("weights") is not None:
            problem = (
                f"{ours['arch']} in {path} scales its inputs, because it was trained from torchvision's weights. "
                "Without `weights` it does not. Set `weights` instead of `pretrained`."
            )
            raise problems_of(config, [(PRETRAINED, problem)])
        compared = {"difference"} if section == "data" else ours.keys() - _IGNORED_KEYS
        for key in sorted(compared & ours.keys() & theirs.keys()):
            pair = ours[key], theirs[key]
            if pair[0] != pair[1] and not any(each in ("auto", "pretrained") for each in pair):
                log.warning("%s.%s is %s, but was %s in %s", section, key, *pair, path)
