"""K-fold cross-validation: one training per fold, and the average of their networks."""

from __future__ import annotations

import contextlib
import copy
import csv
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nnzoo import log
from nnzoo.builders import build_dataset
from nnzoo.config import Config, dump, load_config, to_yaml
from nnzoo.config.data import Fold
from nnzoo.data import DataInMemory
from nnzoo.errors import DivergedError, InterruptedRunError, UsageError
from nnzoo.experiment.checksums import digests_of
from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint
from nnzoo.experiment.evaluate.training_data import with_split
from nnzoo.experiment.load import load
from nnzoo.experiment.metadata import Metadata
from nnzoo.experiment.pretrained.pretrained import with_checkpoint
from nnzoo.experiment.train.finished import Run, RunWithData
from nnzoo.numbers import spread
from nnzoo.run import directory
from nnzoo.run.artifact import Artifact, save_artifact
from nnzoo.run.files import finite, write_csv, write_json, write_text
from nnzoo.run.history import History
from nnzoo.run.lock import locked


@dataclass(frozen=True)
class Options:
    """How a cross-validation is run. The attributes are the arguments of `train`."""

    runs_dir: Path
    resume: bool
    overwrite: bool
    dry_run: bool
    quiet: bool
    show: Callable[[str], None]
    report: Callable[[RunWithData], object] | None
    model: nn.Module | None
    in_memory: DataInMemory | None


def cross_validate(config: Config, source: object, train_one: Callable[..., Run], options: Options) -> Run:
    """Trains one network per fold, each in its own folder of the run, and averages them.

    The training of a fold is an ordinary run: its config, with which `train` repeats it, has the fold as
    `data.split.fold`. Everything that is learned from data, such as preprocessing and categories, is learned from the
    train samples of the fold. The samples of the fold are its test split: they choose neither the best epoch nor
    anything else.

    Args:
        config: The config, with `train.folds`.
        source: The argument of `train`: a run directory, or what the config was loaded from.
        train_one: Trains one network: `train` with the remaining arguments.
        options: The other arguments.

    Raises:
        UsageError: The run to resume has a different number of folds.
        DivergedError: The loss of a fold is not finite.
        InterruptedRunError: A signal interrupted a training.
    """
    count = config.train.folds
    assert count is not None
    config = with_checkpoint(config, options.runs_dir)
    if options.dry_run:
        return replace(_train_fold(config, 1, options.runs_dir, train_one, options), data=options.in_memory)
    folder = _folder(config, source, options)
    runs: list[Run] = []
    with locked(folder):
        _start(folder, config, options)
        try:
            for number in range(1, count + 1):
                with log.recording(quiet=options.quiet):
                    log.info("fold %d of %d", number, count)
                runs.append(_train_fold(config, number, folder, train_one, options))
        except (DivergedError, InterruptedRunError) as error:
            status = "diverged" if isinstance(error, DivergedError) else "interrupted"
            # The same command with --resume keeps the folds that have ended.
            error.result = _result(folder, config, runs, status, count)
            write_json(folder / directory.RESULT, error.result)
            raise
        return _finish(folder, config, runs, options)


def _folder(config: Config, source: object, options: Options) -> Path:
    """Returns the directory of the run, which is created unless it is resumed."""
    if options.resume:
        given = Path(source) if isinstance(source, str | Path) else None
        candidates = [given] if given is not None and (given / directory.CONFIG).is_file() else []
        candidates += directory.numbered(options.runs_dir, config.name)
        for folder in candidates:
            file = folder / directory.CONFIG
            if not file.is_file():
                continue
            before = load_config(file, custom_model=options.model is not None)
            if folder is given or before.name == config.name:
                if before.train.folds != config.train.folds:
                    raise UsageError(
                        f"the run was started with train.folds {before.train.folds} (got {config.train.folds}). "
                        "Restore it, or start a new run without --resume.",
                        where=str(folder),
                    )
                return folder
    folder = directory.create(options.runs_dir, config.name, overwrite=options.overwrite)
    directory.clear(folder)
    for path in folder.glob("fold-*"):
        if path.is_dir():
            directory.clear(path)
            with contextlib.suppress(OSError):
                path.rmdir()
    return folder


def _start(folder: Path, config: Config, options: Options) -> None:
    directory.remove_leftovers(folder)
    if not (options.resume and (folder / directory.CONFIG).is_file()):
        write_text(folder / directory.CONFIG, to_yaml(config))


def _train_fold(config: Config, number: int, folder: Path, train_one: Callable[..., Run], options: Options) -> Run:
    """Trains the network of a fold, or finishes its training."""
    changes = {
        "name": f"fold-{number}",
        "train.folds": None,
        "data.split.fold": {"number": number, "of": config.train.folds, "held_out": "fold"},
    }
    own = {} if options.dry_run else {"resume": True}
    return train_one(
        config,
        overrides=changes,
        runs_dir=folder,
        model=copy.deepcopy(options.model),
        show=options.show if number == 1 else lambda _: None,
        dry_run=options.dry_run,
        **own,
    )


def _finish(folder: Path, config: Config, runs: Sequence[Run], options: Options) -> Run:
    """Writes the files of the run from those of its folds."""
    count = len(runs)
    resolved = _common_config(runs[0].config, config)
    write_text(folder / directory.CONFIG, to_yaml(resolved))
    write_text(folder / directory.SUMMARY, (runs[0].run_dir / directory.SUMMARY).read_text(encoding="utf-8"))
    write_text(folder / directory.ENVIRONMENT, (runs[0].run_dir / directory.ENVIRONMENT).read_text(encoding="utf-8"))
    History().write(folder / directory.METRICS)
    _write_predictions(folder, runs)
    result = _result(folder, resolved, runs, "completed", count)
    members = [_metadata_of(run, options.in_memory) for run in runs]
    _save(folder, resolved, runs, members, result)
    trained = load(folder, model=options.model, device=runs[0].result["device"])
    if "test" in members[0].data_digests:
        measured = evaluate_checkpoint(trained, split="test", training_data=options.in_memory)
        result["metrics"] |= {f"test/{name}": value for name, value in measured.metrics.items()}
        result["baseline"] |= {f"test/{name}": value for name, value in measured.baseline.items()}
        _save(folder, resolved, runs, members, result)
        trained = load(folder, model=options.model, device=runs[0].result["device"])
    write_json(folder / directory.RESULT, result)
    if options.report is not None:
        options.report(run_of_folds(folder, result, resolved))
    return Run(folder, result, resolved, History(), trained, options.in_memory)


def run_of_folds(folder: Path, result: dict[str, Any], config: Config) -> RunWithData:
    """Returns the run for its page, which has no samples: those of a fold are on the page of the fold."""
    missing = f"Each fold has its own page: fold-1/{directory.REPORT} to fold-{config.train.folds}/{directory.REPORT}."
    return RunWithData(folder, result, config, History(), "fold", missing=missing)


def _common_config(of_fold: Config, config: Config) -> Config:
    """Returns the resolved config of the whole run, from that of a fold."""
    common = with_split(of_fold, config.data.split)
    train = common.train.model_copy(update={"folds": config.train.folds})
    return common.model_copy(update={"name": config.name, "train": train})


def _metadata_of(run: Run, in_memory: DataInMemory | None) -> Metadata:
    """Returns the metadata of the network of a fold, with the checksum of the test samples that are in no fold."""
    metadata, split = run.model.metadata, run.config.data.split
    assert split.fold is not None
    fold = Fold(number=split.fold.number, of=split.fold.of, held_out="test")
    config = with_split(run.config, split.model_copy(update={"fold": fold}))
    with log.recording(quiet=True):
        digests = digests_of(build_dataset(config, in_memory))
    return metadata.model_copy(update={"data_digests": digests})


def _save(folder: Path, config: Config, runs: Sequence[Run], members: Sequence[Metadata], result: Any) -> None:
    """Writes best.safetensors with the networks of all folds."""
    weights: dict[str, Tensor] = {}
    fitted: dict[str, Tensor] = {}
    for index, run in enumerate(runs):
        weights |= {f"{index}.{name}": each for name, each in run.model.module.state_dict().items()}
        fitted |= {f"{index}.{name}": each for name, each in run.model.preprocess.state_dict().items()}
    config_of_fold = members[0].config
    data, train = config_of_fold["data"], config_of_fold["train"]
    shared = config_of_fold | {
        "data": data | {"split": data["split"] | {"fold": None}},
        "train": train | {"folds": config.train.folds},
    }
    own = {name: digest for name, digest in members[0].data_digests.items() if name == "test"}
    common = members[0].model_copy(
        update={
            "config": shared,
            "best_epoch": 0,
            "metrics": finite(result["metrics"]),
            "data_digests": own,
            "folds": tuple(dump(each) for each in members),
        }
    )
    tensors = {name: each.cpu() for name, each in weights.items()}
    save_artifact(folder / directory.ARTIFACT, Artifact(tensors, fitted, dump(common)))


def _write_predictions(folder: Path, runs: Sequence[Run]) -> None:
    """Writes the predictions for the samples of each fold by the network that did not see them, in their order."""
    header: list[str] = []
    rows: list[list[str]] = []
    for number, run in enumerate(runs, start=1):
        with (run.run_dir / directory.PREDICTIONS).open(newline="", encoding="utf-8") as file:
            header, *own = csv.reader(file)
        rows += [[*row, str(number)] for row in own]
    if "row" in header[:2] and all(row[header.index("row")].isdecimal() for row in rows):
        place = header.index("row")
        rows.sort(key=lambda row: (row[:place], int(row[place])))
    write_csv(folder / directory.PREDICTIONS, [*header, "fold"], rows)
    matrices = [run.run_dir / directory.CONFUSION_MATRIX for run in runs]
    if all(path.is_file() for path in matrices):
        tables = [list(csv.reader(path.read_text(encoding="utf-8").splitlines())) for path in matrices]
        summed = [
            [cells[0][0], *(sum(map(int, each)) for each in list(zip(*cells, strict=True))[1:])]
            for cells in zip(*(table[1:] for table in tables), strict=True)
        ]
        write_csv(folder / directory.CONFUSION_MATRIX, tables[0][0], summed)


def _result(folder: Path, config: Config, runs: Sequence[Run], status: str, count: int) -> dict[str, Any]:
    """Returns the content of result.json: means over the folds, and the metrics of each fold."""
    results = [run.result for run in runs]
    first = results[0] if results else {}
    by_fold = {
        name.partition("/")[2]: [result["metrics"][name] for result in results]
        for name in first.get("metrics", {})
        if name.startswith("test/")
    }
    simple = [name for name in first.get("baselines", {}) if all(name in each["baselines"] for each in results)]
    return {
        "run_dir": str(folder),
        "status": status,
        "epochs": max((result["epochs"] for result in results), default=0),
        "best_epoch": None,
        "monitor": first.get("monitor", config.train.monitor),
        "metrics": _means([result["metrics"] for result in results]),
        "baseline": _means([result["baseline"] for result in results], only="test"),
        "baselines": {name: _means([result["baselines"][name] for result in results]) for name in simple},
        "num_parameters": first.get("num_parameters", 0),
        "seconds": round(sum(result["seconds"] for result in results), 3),
        "device": first.get("device", config.train.device),
        "warnings": list(dict.fromkeys(text for result in results for text in result["warnings"])),
        "linear": _means([result["linear"] for result in results]),
        "notes": [],
        "folds": {
            "count": count,
            "finished": len(results),
            "best_epochs": [result["best_epoch"] for result in results],
            "metrics": {name: spread(values) for name, values in by_fold.items()},
        },
        "findings": [],
    }


def _means(each: Sequence[Mapping[str, float]], only: str = "") -> dict[str, float]:
    """Returns the mean of each metric over the folds; test/..., of the samples of a fold, becomes fold/...."""
    return dict(_mean_items(each, only))


def _mean_items(each: Sequence[Mapping[str, float]], only: str) -> Iterator[tuple[str, float]]:
    for key in each[0] if each else ():
        split, _, name = key.partition("/")
        if only in ("", split):
            yield f"{'fold' if split == 'test' else split}/{name}", statistics.fmean(one[key] for one in each)
