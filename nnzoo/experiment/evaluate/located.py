"""The training data of a trained network, where it still is."""

from __future__ import annotations

from pathlib import Path

from nnzoo.builders import build_dataset
from nnzoo.config import Config, load_config
from nnzoo.config.data import PATH_FIELDS
from nnzoo.data import DataInMemory, Dataset, reader_of
from nnzoo.errors import DataError
from nnzoo.experiment.load import TrainedModel
from nnzoo.experiment.pretrained.matching import Side, describe_differences
from nnzoo.run.directory import CONFIG


def read_training_data(trained: TrainedModel, in_memory: DataInMemory | None = None, *, fix: str) -> Dataset:
    """Reads and divides the training data again.

    Args:
        trained: The network.
        in_memory: The data, where Python passed it.
        fix: What to do if only the name of the data is known.

    Raises:
        DataError: Only its name is known, it can't be read, or its columns, words or classes have changed.
    """
    dataset = build_dataset(_with_path(trained, fix), in_memory)
    before = Side(trained.metadata.data_schema, trained.reader, projected=False)
    differences = describe_differences(before, Side(dataset.schema, reader_of(dataset), projected=False))
    if differences:
        raise DataError(
            f"the training data has changed since the training. {differences} Put it back as it was, or give it as new "
            "data (--data PATH), which is read by name.",
            where="data",
        )
    return dataset


def _with_path(trained: TrainedModel, fix: str) -> Config:
    """The config with the path of its data: an artifact has only its name, the config.yaml beside it its path."""
    names = _file_names(trained.config)
    if not names:
        return trained.config
    file = trained.path.parent / CONFIG
    if file.is_file():
        beside = load_config(file, custom_model=True)
        if _file_names(beside) == names:
            return trained.config.model_copy(update={"data": beside.data})
    raise DataError(
        f"the weights do not say where their training data is ({', '.join(names)}). {fix}", where=str(trained.path)
    )


def _file_names(config: Config) -> list[str]:
    paths = [getattr(config.data, field, None) for field in PATH_FIELDS]
    return [Path(path).name for path in paths if path]
