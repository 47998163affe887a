"""The measured results of the shipped configs: `results.json`, the first line of each config, and the table."""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from pydantic import Field

from nnzoo.config.base import Items, Section
from nnzoo.config.data import PATH_FIELDS
from nnzoo.config.load import load_config, origin
from nnzoo.config.shipped import shipped_configs, shipped_folder
from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import RunError, UsageError

NOT_PART_OF_A_RECIPE = ("name", "seed")
CLAIM = re.compile(r" (Test|Train) \w+ [\d.e+-]+ .*$")
"""The measured result at the end of the first line of a config."""


class Result(Section):
    """The measured result of one config.

    Attributes:
        metric: The metric that is compared, with its split, such as "test/accuracy".
        seeds: The seeds.
        values: The metric for each seed.
        num_samples: The number of samples of the split.
        baseline: The metric of a predictor that ignores the inputs.
        others: The metric of other models that were fitted to the same train samples, by their names.
        num_parameters: The number of parameters of the network.
        epochs: The median number of epochs.
        seconds: The median processor time of a training in seconds, on one thread.
        config_digest: The SHA-256 of the settings in the config, without defaults.
        data_digest: The SHA-256 of the splits of the data.
        versions: The versions of the packages.
    """

    metric: str
    seeds: Items[int]
    values: Items[float]
    num_samples: int
    baseline: float | None
    others: dict[str, float] = Field({})
    num_parameters: int
    epochs: int
    seconds: float
    config_digest: str
    data_digest: str
    versions: dict[str, str]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float:
        """The standard deviation over the seeds (n - 1)."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Returns the entry of results.json."""
        summary = {"mean": self.mean, "std": self.std, "min": min(self.values), "max": max(self.values)}
        values = self.model_dump(mode="json")
        return {"metric": values.pop("metric"), **summary, **values}


def results_file() -> Path:
    """Returns results.json: next to the shipped configs in an installed package, in `docs` in a checkout."""
    folder = shipped_folder()
    installed = folder / "results.json"
    return installed if installed.is_file() else folder.parent / "docs" / "results.json"


def read_results(file: Path | None = None) -> dict[str, Result]:
    """Returns the measured results by the name of the config.

    Raises:
        RunError: The file is missing or damaged.
    """
    file = results_file() if file is None else file
    derived = ("mean", "std", "min", "max")
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return {
            name: Result.model_validate({key: value for key, value in entry.items() if key not in derived})
            for name, entry in entries.items()
        }
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"the measured results can't be read: {error}.", where=str(file)) from None


def result_of(name: str) -> Result:
    """Returns the measured result of a shipped config.

    Raises:
        UsageError: There is no such config, or it was not measured.
    """
    results = read_results()
    if name in results:
        return results[name]
    if name in shipped_configs():
        raise UsageError("was not measured. `nnzoo list configs` shows the results.", where=name)
    raise UsageError(f"is not a shipped config.{did_you_mean(name, results)} (`nnzoo list configs`)", where=name)


def config_digest(name: str) -> str:
    """Returns the SHA-256 of the settings that a shipped config and its bases contain.

    Comments, the order of keys, the seed, folders of data and defaults have no influence, so that a new key with a
    default changes no digest.
    """
    settings = origin(load_config(name)).plain()
    settings = {key: value for key, value in settings.items() if key not in NOT_PART_OF_A_RECIPE}
    if isinstance(settings["data"], dict):
        paths = {key: PurePath(settings["data"][key]).name for key in PATH_FIELDS if settings["data"].get(key)}
        settings["data"] = {**settings["data"], **paths}
    return _sha256(settings)


def combined(digests: Mapping[str, str]) -> str:
    """Returns one SHA-256 for the checksums of all splits."""
    return _sha256(dict(digests))


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def figures(value: float, scale: float) -> str:
    """Formats a number with as many decimals as a mean of size `scale` needs."""
    if scale and abs(scale) < 1e-3:
        return f"{value:.3g}"
    decimals = 1 if abs(scale) >= 100 else 3 if abs(scale) >= 0.1 or not scale else 4
    return f"{value:.{decimals}f}"


def spread(result: Result) -> tuple[str, str]:
    """Returns the mean with its standard deviation, and the range."""
    mean, std, least, most = (
        figures(value, result.mean) for value in (result.mean, result.std, min(result.values), max(result.values))
    )
    return f"{mean} +- {std}", f"{least} to {most}"


def claim(result: Result) -> str:
    """Returns the sentence about the result in the first line of a config."""
    split, metric = result.metric.split("/")
    mean, extent = spread(result)
    count = f"{len(result.seeds)} seeds" if len(result.seeds) > 1 else f"seed {result.seeds[0]}"
    baseline = "" if result.baseline is None else f", baseline {figures(result.baseline, result.mean)}"
    return f"{split.capitalize()} {metric} {mean} ({extent}, {count}){baseline}."


def with_claim(text: str, result: Result) -> str:
    """Returns the text of a config with the result at the end of its first line."""
    first, _, rest = text.partition("\n")
    return f"{CLAIM.sub('', first)} {claim(result)}\n{rest}"


def table(results: Mapping[str, Result]) -> str:
    """Returns the Markdown table of all results, followed by the versions that they were measured with."""
    header = ["config", "metric", "mean +- sd", "range", "seeds", "baseline", "other models"]
    header += ["parameters", "epochs", "seconds", "config digest", "data digest"]
    lines = [_line(header), _line(["---"] * len(header))]
    for name, result in sorted(results.items()):
        cells = [
            f"`{name}`",
            result.metric,
            *spread(result),
            str(len(result.seeds)),
            "" if result.baseline is None else figures(result.baseline, result.mean),
            ", ".join(f"{model} {figures(value, result.mean)}" for model, value in result.others.items()),
            f"{result.num_parameters:,}",
            str(result.epochs),
            f"{result.seconds:.1f}",
            *(f"`{digest[:8]}`" for digest in (result.config_digest, result.data_digest)),
        ]
        lines.append(_line(cells))
    versions = dict.fromkeys(
        ", ".join(f"{key} {value}" for key, value in each.versions.items()) for each in results.values()
    )
    return "\n".join([*lines, "", *(f"Measured with {each}." for each in versions)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
