"""Measures the shipped configs over several seeds, and writes their results and the shipped weights.

scripts/recipes [NAME ...] [--data FOLDER] [--seeds N] [--weights] [--check]

It writes docs/results.json, the table in docs/results.md, and the result in the first line of each config. Without
names it measures every config whose data is found; the results of the others stay as they are. A training of less than
20 seconds of processor time is repeated with five seeds, a longer one with three.

The result of each training is kept in a folder (--cache), under the digest of the config, the digest of the data and
the seed. A script that was killed continues where it was, within a training too, and a config is trained again only if
it or its data has changed.

--weights writes the weights that are shipped (`nnzoo list zoo`): those of the seed with the best monitored metric on
val, with their cards. scripts/zoo.yaml lists them. --check measures nothing, and exits with code 1 if a result is
outdated.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnzoo.config.metrics import direction
from nnzoo.config.shipped import shipped_configs
from nnzoo.config.yaml_reader import parse
from nnzoo.errors import DataError, UsageError
from nnzoo.experiment.load import load
from nnzoo.folders import DATA_VARIABLE
from nnzoo.recipes.measure import MeasuredData, Measurement, data_of, headline, summarized, train_recipe
from nnzoo.recipes.results import Result, config_digest, read_results, results_file, table, with_claim
from nnzoo.run.directory import ARTIFACT
from nnzoo.run.files import write_json, write_text
from nnzoo.run.zoo import Card, file_digest, weights_file, zoo_folder

ROOT = Path(__file__).parents[1]
FEW_SECONDS = 20
"""Trainings that take less processor time are repeated with five seeds, others with three."""
MAX_BYTES, MAX_TOTAL_BYTES = 1_500_000, 15_000_000
"""The maximum size of the weights of one network, and of all networks together."""


class Cache:
    """The finished trainings of one config, and the run directory of the current one.

    Args:
        folder: The folder of all caches.
        name: The name of the config.
        data: The data of the config.
    """

    def __init__(self, folder: Path, name: str, data: MeasuredData) -> None:
        self.name = name
        self.folder = folder / f"{name}-{config_digest(name)[:12]}-{data.digest[:12]}"

    def measure(self, seed: int) -> Measurement:
        """Returns the result of a training, which is run unless it has finished before."""
        file = self.folder / f"seed{seed}.json"
        if not file.is_file():
            try:
                measured, run = train_recipe(self.name, seed, self.folder)
            except UsageError:
                # A run of a version with other defaults can't be continued.
                shutil.rmtree(self.folder / f"{self.name}-seed{seed}")
                measured, run = train_recipe(self.name, seed, self.folder)
            shutil.copyfile(run.run_dir / ARTIFACT, self.weights(seed))
            write_json(file, measured.model_dump(mode="json"))
            shutil.rmtree(run.run_dir)
        return Measurement.model_validate(json.loads(file.read_text(encoding="utf-8")))

    def weights(self, seed: int) -> Path:
        """Returns the file with the weights of a finished training."""
        return self.folder / f"seed{seed}.safetensors"


def measure(name: str, cache: Cache, num_seeds: int | None) -> Iterator[Measurement]:
    """Yields the results of the seeds of a config, and prints one line per seed."""
    first = cache.measure(0)
    count = num_seeds or (5 if first.seconds < FEW_SECONDS else 3)
    for seed in range(count):
        measured = cache.measure(seed)
        metric = headline(list(measured.metrics))
        line = f"{name} seed {seed}: {metric} {measured.metrics[metric]:.4g}, {measured.seconds:.1f} s"
        print(line, file=sys.stderr, flush=True)
        yield measured


def write_results(results: dict[str, Result], changed: str) -> None:
    """Writes results.json, the table, and the first line of one config."""
    shipped = shipped_configs()
    kept = {name: result for name, result in sorted(results.items()) if name in shipped}
    write_json(results_file(), {name: result.as_dict() for name, result in kept.items()})
    page = ROOT / "docs" / "results.md"
    text = page.read_text(encoding="utf-8")
    write_text(page, re.sub(r"^\| config \|.*\Z", lambda _: f"{table(kept)}\n", text, flags=re.DOTALL | re.MULTILINE))
    file = shipped[changed]
    write_text(file, with_claim(file.read_text(encoding="utf-8"), kept[changed]))


def outdated(results: dict[str, Result], names: list[str]) -> list[str]:
    """Returns the configs without a result, or that have changed since they were measured."""
    return [name for name in names if name not in results or results[name].config_digest != config_digest(name)]


def write_weights(name: str, about: dict[str, Any], cache: Cache, measured: list[Measurement]) -> None:
    """Writes the weights of the best seed by the monitored metric, and their card."""
    monitor = load(cache.weights(0)).config.train.monitor.partition("/")[2]
    best = (max if direction(monitor) == "max" else min)(measured, key=lambda each: each.monitored)
    file = weights_file(name)
    file.parent.mkdir(exist_ok=True)
    shutil.copyfile(cache.weights(best.seed), file)
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(f"{file} has {size:,} bytes, more than the {MAX_BYTES:,} allowed.")
    metadata = load(file).metadata
    metric = headline(list(best.metrics))
    card = Card(
        name=name,
        recipe=name,
        seed=best.seed,
        metric=metric,
        value=best.metrics[metric],
        baseline=best.baseline.get(metric),
        num_parameters=best.num_parameters,
        num_bytes=size,
        sha256=file_digest(file),
        data_digests=metadata.data_digests,
        versions=metadata.versions,
        **about,
    )
    write_json(file.with_suffix(".json"), card.model_dump(mode="json"))


def main() -> None:
    """Measures the configs and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="configs; default: all whose data is found")
    parser.add_argument(
        "--data", metavar="FOLDER", help=f"folder of the data sets; default: {DATA_VARIABLE}, or ./data"
    )
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="seeds per config; default: 5, or 3 if one takes a minute"
    )
    parser.add_argument("--cache", type=Path, default=ROOT / ".recipes", metavar="DIR", help="finished trainings")
    parser.add_argument("--weights", action="store_true", help="also write the shipped weights")
    parser.add_argument("--check", action="store_true", help="only check that no result is outdated")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[DATA_VARIABLE] = arguments.data
    names = arguments.names or list(shipped_configs())
    if arguments.check:
        old = outdated(read_results(), names)
        raise SystemExit(f"outdated or not measured: {', '.join(old)}" if old else 0)
    shipped_weights = parse((ROOT / "scripts" / "zoo.yaml").read_text(encoding="utf-8"), "zoo.yaml").plain()
    for name in names:
        try:
            data = data_of(name, download=bool(arguments.names))
        except DataError as error:
            print(f"{name}: left out: {error}", file=sys.stderr, flush=True)
            continue
        cache = Cache(arguments.cache, name, data)
        measured = list(measure(name, cache, arguments.seeds))
        # Read again for each config: several of these scripts may run at the same time.
        write_results({**read_results(), name: summarized(name, data, measured)}, name)
        if arguments.weights and name in shipped_weights:
            write_weights(name, shipped_weights[name], cache, measured)
    total = sum(file.stat().st_size for file in zoo_folder().glob("*.safetensors"))
    if total > MAX_TOTAL_BYTES:
        raise SystemExit(f"the shipped weights have {total:,} bytes, more than the {MAX_TOTAL_BYTES:,} allowed.")


if __name__ == "__main__":
    main()
