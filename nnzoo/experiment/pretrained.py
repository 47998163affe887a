"""Starting from the weights of another run: fine-tuning, or going on with other settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from nnzoo import log
from nnzoo.config import Config, dump, load_config
from nnzoo.config.load import problems_of
from nnzoo.config.model import PRETRAINED, is_run_name
from nnzoo.data import Dataset
from nnzoo.errors import UsageError
from nnzoo.experiment.load import read_weights
from nnzoo.experiment.metadata import Metadata
from nnzoo.models import head_of
from nnzoo.models.changes import Changes
from nnzoo.run.directory import ARTIFACT, CONFIG, find_checkpoint

# What may differ without a word: it is of this run alone, or of the last layer, or seen in the shapes.
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
    """The config with the file itself in place of whatever names the checkpoint, so that it can be repeated.

    Args:
        config: As it was loaded.
        runs_dir: Where names are looked up.
        resumed: The run to go on with. It has taken what it needs: the file may be gone, and `latest` be another one.

    Raises:
        ConfigError: There is no such checkpoint.
        RunError: The run holds no weights yet.
    """
    said = config.model.pretrained
    if said is None:
        return config
    if resumed is not None and (resumed / CONFIG).is_file():
        recorded = load_config(resumed / CONFIG).model.pretrained
        if recorded is not None and _means(said, Path(recorded)):
            return _at(config, recorded)
    return _at(config, str(_find(config, said, runs_dir).absolute()))


def check_survives(config: Config, folder: Path) -> None:
    """The weights that a run starts from are not to be overwritten by the run itself: it could not be repeated.

    Raises:
        ConfigError: They lie in the folder that is to be replaced.
    """
    said = config.model.pretrained
    if said is not None and Path(said).resolve().parent == folder.resolve():
        problem = f"{said} is in the run that --overwrite would replace. Give the new run another --name."
        raise problems_of(config, [(PRETRAINED, problem)])


def _at(config: Config, path: str) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update={"pretrained": path})})


def _means(said: str, file: Path) -> bool:
    """Whether a checkpoint as it was said may have been this file."""
    named = is_run_name(said) and said in ("latest", file.parent.name)
    return named or file in (Path(said), Path(said) / ARTIFACT)


def _find(config: Config, said: str, runs_dir: Path) -> Path:
    try:
        return find_checkpoint(said, runs_dir)
    except UsageError as error:
        raise problems_of(config, [(PRETRAINED, str(error))]) from None


def take_over(
    config: Config, module: nn.Module, dataset: Dataset | None, runs_dir: str | Path = "runs"
) -> frozenset[str]:
    """Puts the weights that the config starts from, if it names any, into a new network.

    All but the last layer must be there by name and shape, buffers (such as batch norm's statistics) included. The last
    layer is taken too where it answers the same question: the same classes, or the same targets, in the same order.

    Args:
        config: Of the new network.
        module: Is changed in place.
        dataset: What it is to learn; None leaves the last layer new.
        runs_dir: Where names of runs are looked up.

    Returns:
        The names of what was taken.

    Raises:
        ConfigError: There is no such checkpoint, or it is of another network.
        CheckpointError: It is damaged, no file of nnzoo, or of a newer version.
    """
    if config.model.pretrained is None:
        return frozenset()
    path = _find(config, config.model.pretrained, Path(runs_dir))
    weights, _, metadata = read_weights(path)
    # The units of a series are its own.
    weights = Changes.weights_of_network(weights)
    prefix = "network." if isinstance(module, Changes) else ""
    module = module.network if isinstance(module, Changes) else module
    head = f"{head_of(module)}."
    own = module.state_dict()
    ends = {name for name in (*own, *weights) if name.startswith(head)}
    anew = _why_anew(metadata, dataset)
    if not anew and any(_shape(own, name) != _shape(weights, name) for name in ends):
        anew = "it has another shape"
    taken = {name: tensor for name, tensor in weights.items() if not (anew and name in ends)}
    expected = {name: tensor for name, tensor in own.items() if not (anew and name in ends)}
    problem = _difference(taken, expected, path, metadata)
    if not problem and not taken:
        problem = f"all that {config.model.name} has is its last layer, which starts anew: {anew}. Leave it out."
    if problem:
        raise problems_of(config, [(PRETRAINED, problem)])
    _check_words(config, metadata, path)
    with torch.no_grad():
        for name, tensor in taken.items():
            own[name].copy_(tensor)
    last = f"the last layer ({head_of(module)}) starts anew: {anew}" if anew else "the last layer too"
    log.info("weights of %s; %s", path, last)
    return frozenset(f"{prefix}{name}" for name in taken)


def _why_anew(metadata: Metadata, dataset: Dataset | None) -> str:
    """Why the checkpoint's last layer is of no use; empty if it is."""
    if dataset is None:
        return "the data is not known"
    if metadata.task != dataset.task:
        return f"the checkpoint is of {metadata.task}, this data of {dataset.task}"
    if metadata.classes != dataset.classes:
        return "its classes are others"
    return "" if metadata.target_names == dataset.target_names else "its targets are others"


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None


def _difference(
    taken: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path, metadata: Metadata
) -> str | None:
    """The first tensor that is not the same in checkpoint and network, and what to do."""
    for name in (*expected, *(name for name in taken if name not in expected)):
        there, here = _shape(taken, name), _shape(expected, name)
        if there != here:
            shapes = [f"has the shape {shape}" if shape is not None else "does not exist" for shape in (there, here)]
            return (
                f"{name} {shapes[0]} in {path} and {shapes[1]} in this model. All but the last layer must be as there "
                f"(`nnzoo summary {path}` shows it), for inputs of the shape {metadata.network_input_shape}."
            )
    return None


def _check_words(config: Config, metadata: Metadata, path: Path) -> None:
    """Weights of the same shapes may still have been those of another function, or of other inputs.

    Raises:
        ConfigError: They were GoogLeNet's or Inception's of torchvision, which scale their inputs.
    """
    for section in ("model", "preprocess"):
        ours, theirs = dump(getattr(config, section)), metadata.config.get(section)
        if not isinstance(theirs, dict):
            continue
        if ours.get("arch") in ("googlenet", "inception_v3") and theirs.get("weights") is not None:
            problem = (
                f"{ours['arch']} in {path} began with torchvision's own weights, with which it scales its inputs, and "
                "without `weights` it does not. Start from `weights` in place of `pretrained`."
            )
            raise problems_of(config, [(PRETRAINED, problem)])
        for key in sorted(ours.keys() & theirs.keys() - _OWN_WORDS):
            if "auto" not in (ours[key], theirs[key]) and ours[key] != theirs[key]:
                log.warning("%s.%s is %s, and was %s in %s", section, key, ours[key], theirs[key], path)
