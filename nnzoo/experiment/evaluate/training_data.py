"""Reads the training data of a trained network again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nnzoo.builders import build_dataset
from nnzoo.config import Config, load_config
from nnzoo.config.data import PATH_FIELDS, Split
from nnzoo.data import DataInMemory, Dataset, reader_of
from nnzoo.errors import DataError
from nnzoo.experiment.checksums import changed_splits, digests_of
from nnzoo.experiment.load import TrainedModel
from nnzoo.experiment.pretrained.matching import Signature, describe_differences
from nnzoo.run.directory import CONFIG
from nnzoo.run.zoo import read_card, zoo_folder


def read_training_data(trained: TrainedModel, in_memory: DataInMemory | None = None, *, fix: str) -> Dataset:
    """Reads the training data again, and splits it in the same way.

    Args:
        trained: The trained network.
        in_memory: The data, if it was passed from Python.
        fix: What to do if the path of the data is unknown, for the error message.

    Raises:
        DataError: The path of the data is unknown, it can't be read, or the data has changed.
    """
    config = _with_path(trained, fix)
    if trained.config.data.split.fold is not None:
        config = with_split(config, trained.config.data.split)
    dataset = build_dataset(config, in_memory)
    before = Signature(trained.metadata.data_schema, trained.reader, projected=False)
    differences = describe_differences(before, Signature(dataset.schema, reader_of(dataset), projected=False))
    if differences:
        raise DataError(
            f"the training data has changed since the network was trained. {differences} Restore it, or pass it as new "
            "data (--data PATH), whose columns are matched by name.",
            where="data",
        )
    # Generated data has no file that could change, and may differ in the last bits on another machine.
    changed = changed_splits(trained.metadata.data_digests, digests_of(dataset)) if _file_names(trained.config) else ""
    if changed:
        raise DataError(
            f"the {changed} split has changed since the network was trained (by checksum): it may now have rows that "
            "the network was trained on. Restore the data, or evaluate the network on new data (--data PATH).",
            where="data",
        )
    return dataset


def _with_path(trained: TrainedModel, fix: str) -> Config:
    """Returns the config with the path of its data, since an artifact has only the file name.

    The path is in the config.yaml of the run, or in the shipped config of shipped weights.
    """
    names = _file_names(trained.config)
    if not names:
        return trained.config
    file = trained.path.parent / CONFIG
    is_shipped = trained.path.parent == zoo_folder()
    if is_shipped or file.is_file():
        source = read_card(trained.path.stem).recipe if is_shipped else file
        with_paths = load_config(source, custom_model=True)
        if _file_names(with_paths) == names:
            return trained.config.model_copy(update={"data": with_paths.data})
    raise DataError(f"the path of the training data is unknown ({', '.join(names)}). {fix}", where=str(trained.path))


def _file_names(config: Config) -> list[str]:
    paths = [getattr(config.data, field, None) for field in PATH_FIELDS]
    return [Path(path).name for path in paths if path]


def read_test_split(member: TrainedModel, in_memory: DataInMemory | None = None, *, fix: str) -> Dataset:
    """Reads the training data of a network of a cross-validation, with the test samples that are in no fold.

    Args:
        member: The network of a fold.
        in_memory: As in `read_training_data`.
        fix: As in `read_training_data`.

    Raises:
        DataError: As in `read_training_data`.
    """
    split = member.config.data.split
    assert split.fold is not None
    outer = split.model_copy(update={"fold": split.fold.model_copy(update={"held_out": "test"})})
    return read_training_data(replace(member, config=with_split(member.config, outer)), in_memory, fix=fix)


def with_split(config: Config, split: Split) -> Config:
    """Returns a config with another section `data.split`."""
    return config.model_copy(update={"data": config.data.model_copy(update={"split": split})})
