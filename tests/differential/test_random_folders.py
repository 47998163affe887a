"""Random image folders: files, pixels, classes and splits equal those found with Pillow and NumPy.

NNZOO_TABLES sets their number: one folder per ten tables.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import predicted, values_in
from hypothesis import HealthCheck, given, seed, settings
from natural_order import natural
from random_folders import CLASSES, FolderPlan, WrittenFolder, folders, write_folder

import nnzoo
from nnzoo.data import Dataset
from nnzoo.experiment.prepare import Experiment, prepare

NUM_FOLDERS = int(os.environ.get("NNZOO_TABLES", "120")) // 10


def config_of(written: WrittenFolder) -> dict[str, Any]:
    split = {"val": 0.2, "test": 0.2, "deduplicate": written.plan.deduplicate}
    data = {"name": "image_folder", "path": str(written.path), "split": split}
    return {"data": data, "model": "linear", "train": {"epochs": 1, "batch_size": "full", "device": "cpu"}}


@pytest.mark.slow
@settings(max_examples=max(1, NUM_FOLDERS), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@seed(0)
@given(folders())
def test_random_folders(plan: FolderPlan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(plan, Path(folder))


def check(plan: FolderPlan, folder: Path) -> None:
    written = write_folder(plan, folder)
    experiment = prepare(nnzoo.load_config(config_of(written)))
    dataset = experiment.dataset
    names = sorted(CLASSES[: plan.num_classes], key=natural)
    assert list(dataset.classes) == names
    paths = {}
    for name, split in dataset.splits.items():
        assert split.rows is not None
        paths[name] = [dataset.sample_names[number] for number in split.rows.tolist()]
        assert split.targets.tolist() == [names.index(written.labels[path]) for path in paths[name]]
        pixels = np.stack([written.pixels[path] for path in paths[name]])
        expected = pixels[:, None] if plan.grey else pixels.transpose(0, 3, 1, 2)
        assert np.array_equal(split.inputs.numpy(), expected)
    check_division(written, paths)
    check_standardized(experiment, paths, written)
    check_warnings(written, dataset)
    check_round_trip(written, folder)


def check_division(written: WrittenFolder, paths: dict[str, list[str]]) -> None:
    """Every readable image is in one split; with deduplication, only one of several copies in a class."""
    used = [path for part in paths.values() for path in part]
    assert len(used) == len(set(used))
    contents = Counter((written.labels[path], written.pixels[path].tobytes()) for path in used)
    every = Counter((written.labels[path], pixels.tobytes()) for path, pixels in written.pixels.items())
    if written.plan.deduplicate:
        every = Counter(dict.fromkeys(every, 1))
    assert contents == every
    # Images that can't be decoded are detected after the split.
    total = every.total() + len(written.broken)
    for name in ("val", "test"):
        assert round(0.2 * total) - len(written.broken) <= len(paths[name]) <= round(0.2 * total)


def check_warnings(written: WrittenFolder, dataset: Dataset) -> None:
    """Images that are left out are in a warning."""
    warnings = " ".join(dataset.warnings)
    assert ("nothing" in warnings) == written.plan.empty_class
    assert all(Path(path).name in warnings for path in written.broken)


def check_round_trip(written: WrittenFolder, folder: Path) -> None:
    """Predictions for files do not depend on their order."""
    run = nnzoo.train(config_of(written), runs_dir=folder / "runs", quiet=True)
    paths = sorted(written.labels)
    answers = run.model.predict([Path(path) for path in paths]).tolist()
    assert run.model.predict([Path(path) for path in reversed(paths)]).tolist() == answers[::-1]
    assert values_in(predicted(run.run_dir, *paths), "prediction") == answers


def check_standardized(experiment: Experiment, paths: dict[str, list[str]], written: WrittenFolder) -> None:
    """Checks that each channel is scaled by its mean and deviation over the training images."""
    train = np.stack([written.pixels[path] for path in paths["train"]]) / 255
    axes = (0, 1, 2)
    for name, part in paths.items():
        pixels = np.stack([written.pixels[path] for path in part]) / 255
        wanted = (pixels - train.mean(axis=axes)) / train.std(axis=axes)
        wanted = wanted[:, None] if written.plan.grey else wanted.transpose(0, 3, 1, 2)
        found = experiment.splits[name].network_inputs(slice(None)).numpy()
        assert np.abs(found - wanted).max() <= 1e-6 * max(1.0, float(np.abs(wanted).max()))
