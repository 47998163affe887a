"""Starting from the weights of another run: fine-tuning, or training on with other settings."""

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
from nnzoo.experiment.load import read_weights
from nnzoo.experiment.metadata import Metadata
from nnzoo.experiment.pretrained.matching import Match, MismatchError, Side, listed, match_inputs, match_outputs
from nnzoo.experiment.pretrained.transfer import Transfer
from nnzoo.models.inputs import input_weights
from nnzoo.models.relative_forecast import RelativeForecast
from nnzoo.run.directory import ARTIFACT, CONFIG, find_checkpoint
from nnzoo.run.torch_file import SUFFIXES as TORCH_SUFFIXES
from nnzoo.run.torch_file import read_state_dict

# These may differ without a warning: they belong to one run, or to the last layer, or are seen in the shapes.
_OWN_WORDS = {
    "name",
    "pretrained",
    "freeze",
    "dropout",
    "output",
    "embedding",
    "weights",
    "hidden",
    "layers",
    "scale_target",
}


def with_checkpoint(config: Config, runs_dir: Path, resumed: Path | None = None) -> Config:
    """Returns the config with the file of the checkpoint in place of its name, so that the run can be repeated.

    `embedding: auto` becomes the size that the checkpoint has.

    Args:
        config: As it was loaded.
        runs_dir: Where names of runs are looked up.
        resumed: The run to resume. The weights are in it, so the checkpoint may be gone, and `latest` be another one.

    Raises:
        ConfigError: There is no such checkpoint.
        RunError: The run has no weights yet.
    """
    said = config.model.pretrained
    if said is None:
        return config
    if resumed is not None and (resumed / CONFIG).is_file():
        recorded = load_config(resumed / CONFIG).model
        if recorded.pretrained is not None and _means(said, Path(recorded.pretrained)):
            return _with(config, pretrained=recorded.pretrained, **_embedding(config, recorded))
    path = _find(config, said, runs_dir).absolute()
    return _with(with_embedding(config, runs_dir), pretrained=str(path))


def with_embedding(config: Config, runs_dir: str | Path = "runs") -> Config:
    """Returns the config with the size of the checkpoint's embedding in place of `auto`.

    The size that `auto` means follows from the size of the vocabulary, which may differ.

    Raises:
        ConfigError: There is no such checkpoint.
        CheckpointError: It is damaged, not a file of nnzoo, or of a newer version.
    """
    if config.model.pretrained is None or getattr(config.model, "embedding", None) != "auto":
        return config
    path = _find(config, config.model.pretrained, Path(runs_dir))
    if path.suffix in TORCH_SUFFIXES:
        return config
    _, _, metadata = read_weights(path)
    return _with(config, **_embedding(config, metadata.config.get("model")))


def _embedding(config: Config, other: object) -> dict[str, object]:
    """The size of the embedding that another model has, if this one leaves it open."""
    size = other.get("embedding") if isinstance(other, dict) else getattr(other, "embedding", None)
    return {"embedding": size} if getattr(config.model, "embedding", None) == "auto" and isinstance(size, int) else {}


def check_survives(config: Config, folder: Path) -> None:
    """Checks that the run does not overwrite the weights that it starts from: it could not be repeated.

    Raises:
        ConfigError: They are in the folder that is to be replaced.
    """
    said = config.model.pretrained
    if said is not None and Path(said).resolve().parent == folder.resolve():
        problem = f"{said} is in the run that --overwrite would replace. Give the new run another --name."
        raise problems_of(config, [(PRETRAINED, problem)])


def _with(config: Config, **words: object) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update=words)})


def _means(said: str, file: Path) -> bool:
    """Whether a checkpoint as the config names it may have been this file."""
    named = is_run_name(said) and said in ("latest", file.parent.name)
    return named or file in (Path(said), Path(said) / ARTIFACT)


def _find(config: Config, said: str, runs_dir: Path) -> Path:
    path = Path(said)
    if path.suffix in TORCH_SUFFIXES and path.is_file():
        return path
    try:
        return find_checkpoint(said, runs_dir)
    except UsageError as error:
        raise problems_of(config, [(PRETRAINED, str(error))]) from None


def take_over(
    config: Config, module: nn.Module, dataset: Dataset | None, runs_dir: str | Path = "runs"
) -> frozenset[str]:
    """Copies the weights of `model.pretrained`, if the config names any, into a new network.

    Inputs are matched by name: columns and their categories, features of a series, tokens of a vocabulary. A weight of
    an input that the checkpoint does not have keeps its initial value, and one of an input that is gone is left out.
    Where one side has no names, or where principal components stand in between, inputs are taken by position.

    Preprocessing is fitted to the new data, as in fine-tuning elsewhere: a weight means the same for an input that is
    as many standard deviations from the mean of its own training data. So an input that is left out counts as one at
    its mean.

    The outputs of the last layer are matched by name too: classes, labels or regression targets. The last layer is
    initialized if none matches. Every other tensor, buffers such as the statistics of batch norm included, must have
    the same name and shape.

    Args:
        config: Of the new network.
        module: Is changed in place.
        dataset: What the network will learn; None leaves the last layer as initialized and takes inputs by position.
        runs_dir: Where names of runs are looked up.

    Returns:
        The names of the tensors that were taken, in whole or in part.

    Raises:
        ConfigError: There is no such checkpoint, or it does not fit this network or this data.
        CheckpointError: It is damaged, not a file of nnzoo, or of a newer version.
    """
    if config.model.pretrained is None:
        return frozenset()
    path = _find(config, config.model.pretrained, Path(runs_dir))
    prefix = "network." if isinstance(module, RelativeForecast) else ""
    module = module.network if isinstance(module, RelativeForecast) else module
    here = None
    if dataset is not None:
        here = Side(dataset.schema, reader_of(dataset), config.preprocess.pca is not None)
    start = _start_of_state_dict if path.suffix in TORCH_SUFFIXES else _start_of_checkpoint
    fit, taken, how = start(config, module, path, here)
    own = module.state_dict()
    with torch.no_grad():
        for name, tensor in taken.items():
            own[name].copy_(tensor)
    log.info("%s", "; ".join(filter(None, [f"weights of {path}", how, fit.told()])))
    for line in fit.changes():
        log.warning("model.pretrained: %s", line)
    return frozenset(f"{prefix}{name}" for name in taken)


def _start_of_checkpoint(
    config: Config, module: nn.Module, path: Path, here: Side | None
) -> tuple[Transfer, dict[str, Tensor], str]:
    """Fits the weights of a checkpoint of nnzoo; the string says how inputs were matched."""
    weights, _, metadata = read_weights(path)
    there = Side(metadata.data_schema, parse_reader(metadata.reader), _projects(metadata.config.get("preprocess")))
    try:
        inputs, how = _match_inputs(there, here, module)
        # The units of a series are fitted to its own data.
        own = RelativeForecast.weights_of_network(weights)
        fit = Transfer(config, module, own, inputs, *match_outputs(there, here))
        taken = fit.tensors()
    except MismatchError as error:
        hint = f"`nnzoo summary {path}` shows the checkpoint."
        raise problems_of(config, [(PRETRAINED, f"{path}: {error} {hint}")]) from None
    _check_words(config, metadata, path)
    return fit, taken, how


def _start_of_state_dict(
    config: Config, module: nn.Module, path: Path, here: Side | None
) -> tuple[Transfer, dict[str, Tensor], str]:
    """Fits the weights that another program saved. Nothing in them names inputs or classes."""
    weights = read_state_dict(path)
    outputs = Match(here.outputs, here.outputs, "output") if here else None
    fit = Transfer(config, module, weights, None, outputs, "" if here else "the data is not known")
    try:
        taken = fit.tensors()
    except MismatchError as error:
        raise problems_of(config, [(PRETRAINED, f"{path}: {error} The file holds {listed([*weights])}.")]) from None
    if fit.outputs is not None:
        log.warning(
            "model.pretrained: %s does not name its inputs and outputs. They are taken to be those of this data, in "
            "the same order.",
            path,
        )
    return fit, taken, "inputs by position, since the file does not name them"


def _projects(preprocess: object) -> bool:
    """Whether a config's preprocessing, as plain values, has principal components."""
    return isinstance(preprocess, dict) and preprocess.get("pca") is not None


def _match_inputs(there: Side, here: Side | None, module: nn.Module) -> tuple[Match | None, str]:
    if here is None:
        return None, "inputs by position, since the data is not known"
    return match_inputs(there, here, can_match=bool(input_weights(module)))


def _check_words(config: Config, metadata: Metadata, path: Path) -> None:
    """Warns where weights of the same shapes belonged to another function, or to inputs of another scale.

    Raises:
        ConfigError: They were GoogLeNet's or Inception's of torchvision, which scale their inputs.
    """
    for section in ("data", "model", "preprocess"):
        ours, theirs = dump(getattr(config, section)), metadata.config.get(section)
        if not isinstance(ours, dict) or not isinstance(theirs, dict):
            continue
        if ours.get("arch") in ("googlenet", "inception_v3") and theirs.get("weights") is not None:
            problem = (
                f"{ours['arch']} in {path} started from torchvision's own weights, with which it scales its inputs, "
                "and without `weights` it does not. Start from `weights` instead of `pretrained`."
            )
            raise problems_of(config, [(PRETRAINED, problem)])
        compared = {"difference"} if section == "data" else ours.keys() - _OWN_WORDS
        for key in sorted(compared & ours.keys() & theirs.keys()):
            if "auto" not in (ours[key], theirs[key]) and ours[key] != theirs[key]:
                log.warning("%s.%s is %s, and was %s in %s", section, key, ours[key], theirs[key], path)
