"""Where the training data of a trained network is."""

from __future__ import annotations

from pathlib import Path

from nnzoo.config import Config, load_config
from nnzoo.config.data import PATH_FIELDS
from nnzoo.errors import DataError
from nnzoo.experiment.load import TrainedModel
from nnzoo.run.directory import CONFIG


def locate_data(trained: TrainedModel, *, fix: str) -> Config:
    """Returns the config with the path of its data: an artifact has only its name, the config.yaml beside it its path.

    Args:
        trained: The network.
        fix: What to do if only the name is known.

    Raises:
        DataError: Only the name is known.
    """
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
