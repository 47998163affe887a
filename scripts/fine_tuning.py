"""Measures fine-tuning with few images per class, and writes docs/fine-tuning.json, the table and the figure.

.venv/bin/python scripts/fine_tuning.py SIGN_DIGITS [--seeds 10] [--runs-dir FOLDER]

SIGN_DIGITS is the folder of the Sign Language Digits (Mavi 2020), with one folder of images per digit. A network is
trained on the digits 0 to 4, and fine-tuned on 5, 20 or 100 images of each of the digits 5 to 9.
60 images of each digit are always the test split. The training images of a seed are the same for all methods, so the
differences are paired. Only the first training has random crops and rotations.

Finished trainings are not
repeated: the script can be stopped and started again.
"""

from __future__ import annotations

import argparse
import inspect
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from nnzoo.experiment.train.run import train
from nnzoo.report.charts import Curve, Lines
from nnzoo.report.svg import lines
from nnzoo.run.files import atomic_file

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""(N, 1, 32, 32) images and (N,) classes."""

SIZE, NUM_TEST = 32, 60
EPOCHS = {5: 120, 20: 40, 100: 15}
"""Epochs by the number of images per class: about 150 steps for 5 classes."""
RATES = (3e-3, 1e-2)
TUNING_SEEDS = (100, 101)
"""Learning rates that are tried for each method, with 20 images per class, and the seeds for that choice alone."""
SCRATCH, ALL, HEAD, RECOMMENDED = "from scratch", "all layers", "output layer only", "freeze_epochs"
EVERYWHERE = (SCRATCH, ALL, RECOMMENDED)
"""The methods that are measured with 5 and 100 images per class, too."""
CONVOLUTION = {"kernel_size": 3, "padding": "same", "batch_norm": True}
POOL = {"pool": {"kind": "max", "kernel_size": 2}}
NETWORK: dict[str, Any] = {
    "name": "cnn",
    "blocks": [
        {"conv": {"out_channels": 16, **CONVOLUTION}},
        POOL,
        {"conv": {"out_channels": 32, **CONVOLUTION}},
        POOL,
        {"conv": {"out_channels": 64, **CONVOLUTION}},
        {"global_pool": "avg"},
    ],
    "head": [],
}


def methods(lr: float, epochs: int) -> dict[str, dict[str, Any]]:
    """Returns the overrides of each method, for a learning rate and a number of epochs."""
    return {
        SCRATCH: {"model.pretrained": None, "preprocess.normalize": "standardize"},
        ALL: {},
        HEAD: {"model.freeze": "backbone"},
        "backbone_lr": {"optimizer.backbone_lr": lr / 10},
        RECOMMENDED: {"model.freeze_epochs": epochs // 4},
        "frozen batch norm": {"model.freeze": ["batch_norm"]},
    }


class Results:
    """The accuracies in docs/fine-tuning.json by key. A key that is there is not measured again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}

    def put(self, key: str, value: float) -> None:
        self.values[key] = value
        with atomic_file(self.path) as temporary:
            temporary.write((json.dumps(self.values, indent=0) + "\n").encode())


def read_sign_digits(folder: Path) -> Images:
    """Reads all images as 32 x 32 pixels in grayscale, sorted by digit and file name."""
    images, labels = [], []
    for digit in range(10):
        for file in sorted((folder / str(digit)).iterdir()):
            with Image.open(file) as image:
                images.append(np.asarray(image.convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR)))
                labels.append(digit)
    return np.stack(images)[:, None], np.array(labels)


def split(images: Images, digits: range, per_class: int, seed: int) -> dict[str, Any]:
    """Returns the arrays of a task: `per_class` images of each digit, drawn by the seed, and the fixed test split."""
    pixels, labels = images
    train_rows, test_rows = [], []
    for digit in digits:
        rows = np.random.default_rng(digit).permutation(np.flatnonzero(labels == digit))
        test_rows += rows[:NUM_TEST].tolist()
        train_rows += np.random.default_rng([seed, digit]).permutation(rows[NUM_TEST:])[:per_class].tolist()
    names = np.array([f"digit {label}" for label in labels])
    return {
        "x": pixels[train_rows],
        "y": names[train_rows],
        "x_test": pixels[test_rows],
        "y_test": names[test_rows],
    }


def pretrain(name: str, images: Images, runs_dir: Path) -> Path:
    """Trains the network that is fine-tuned, unless it exists."""
    if not (runs_dir / name / "result.json").is_file():
        config = {
            "name": name,
            "data": {"name": "arrays", "split": {"val": 0.15, "test": 0}},
            "model": NETWORK,
            "optimizer": {"name": "adamw", "lr": 1e-2},
            "augment": [{"name": "random_crop", "padding": 3}, {"name": "rotation", "degrees": 15}],
            "scheduler": {"name": "one_cycle", "interval": "step"},
            "train": {"epochs": 40, "batch_size": 64, "early_stopping": None},
        }
        run = train(config, data={"x": images[0], "y": images[1]}, runs_dir=runs_dir, overwrite=True, quiet=True)
        print(f"{name}: {run.metrics}", flush=True)
    return (runs_dir / name).absolute()


def accuracy(arrays: dict[str, Any], base: Path, epochs: int, lr: float, method: str, seed: int) -> float:
    """Trains one network, and returns its accuracy on the test split."""
    config = {
        "name": "tuned",
        "seed": seed,
        "data": {"name": "arrays", "split": {"val": 0}},
        "preprocess": {"normalize": "pretrained"},
        "model": {**NETWORK, "pretrained": str(base)},
        "optimizer": {"name": "adamw", "lr": lr},
        "scheduler": {"name": "one_cycle", "interval": "step"},
        "train": {"epochs": epochs, "batch_size": 32, "early_stopping": None, "probes": False, "num_threads": 1},
    }
    overrides = methods(lr, epochs)[method]
    run = train(config, overrides=overrides, data=arrays, runs_dir=base.parent, overwrite=True, quiet=True)
    return run.metrics["test/accuracy"]


def measure(results: Results, task: str, images: Images, digits: range, base: Path, seeds: int) -> None:
    """Chooses the learning rates of a task, then measures its methods."""

    def one(method: str, per_class: int, lr: float, seed: int) -> float:
        key = f"{task} | {method} | {per_class} | {lr:g} | {seed}"
        if key not in results.values:
            arrays = split(images, digits, per_class, seed)
            results.put(key, accuracy(arrays, base, EPOCHS[per_class], lr, method, seed))
        return results.values[key]

    for method in methods(1.0, 1):
        # The variants of fine-tuning all layers share its learning rate.
        tuned = method if method in (SCRATCH, HEAD) else ALL
        scores = {lr: statistics.mean(one(tuned, 20, lr, seed) for seed in TUNING_SEEDS) for lr in RATES}
        results.put(f"{task} | {method} | lr", max(RATES, key=lambda lr: scores[lr]))
    for per_class in (20, 5, 100):
        for method in methods(1.0, 1):
            if per_class == 20 or method in EVERYWHERE:
                lr = results.values[f"{task} | {method} | lr"]
                found = [one(method, per_class, lr, seed) for seed in range(seeds)]
                print(task, method, per_class, f"lr {lr:g}", f"{statistics.mean(found):.3f}", flush=True)


def table(results: Results, task: str) -> str:
    """Returns the Markdown table of a task: mean accuracies, and differences to training from scratch at 20 images."""
    rows = [
        "| method | lr | 5 images | 20 images | 100 images | gain at 20 images (95 % interval) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    scratch = values_of(results, task, SCRATCH)
    for method in methods(1.0, 1):
        values = values_of(results, task, method)
        means = " | ".join(f"{statistics.mean(each):.3f}" if each else "" for each in values.values())
        gain = ""
        if method != SCRATCH:
            low, mean, high = interval([a - b for a, b in zip(values[20], scratch[20], strict=True)])
            gain = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
        rows.append(f"| {method} | {results.values[f'{task} | {method} | lr']:g} | {means} | {gain} |")
    return "\n".join(rows)


def values_of(results: Results, task: str, method: str) -> dict[int, list[float]]:
    """Returns the accuracies of a method by the number of images per class, in the order of the seeds."""
    lr = results.values[f"{task} | {method} | lr"]
    found: dict[int, list[float]] = {}
    for per_class in EPOCHS:
        prefix = f"{task} | {method} | {per_class} | {lr:g} | "
        seeds = sorted(int(key.removeprefix(prefix)) for key in results.values if key.startswith(prefix))
        found[per_class] = [results.values[f"{prefix}{seed}"] for seed in seeds if seed not in TUNING_SEEDS]
    return found


def interval(differences: list[float]) -> tuple[float, float, float]:
    """Returns the lower bound, the mean and the upper bound of the 95 % interval of a paired t-test."""
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return mean - half, mean, mean + half


def figure(results: Results, tasks: dict[str, str]) -> str:
    """Returns the SVG of accuracy against images per class, with and without pretrained weights."""
    series: dict[str, Curve] = {}
    legend: list[str] = []
    for task, title in tasks.items():
        for method, words in ((RECOMMENDED, f"fine-tuned from {title}"), (SCRATCH, f"from scratch, {task}")):
            values = values_of(results, task, method)
            series[words] = ([*values], [statistics.mean(each) for each in values.values()])
            number = len(legend)
            left, top = 250, 175 + 16 * number  # in the empty corner of the plot
            legend.append(
                f'<path class="line s{number}" d="M{left} {top - 4}h20"/><text x="{left + 26}" y="{top}">{words}</text>'
            )
    title = "Accuracy against images per class"
    drawn = lines(Lines(title, "", "training images per class", "test accuracy", series, log_x=True))
    style = Path(inspect.getfile(lines)).with_name("style.css").read_text()
    opening, _, rest = drawn.partition(">")
    opening = opening.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" width="720" height="405"')
    background = '<rect width="480" height="270" style="fill:var(--page)"/>'
    return f"{opening}><style><![CDATA[{style}]]></style>{background}{''.join(legend)}{rest}\n"


def main() -> None:
    """Measures what is missing, prints the tables, and writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sign_digits", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/fine_tuning"))
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = Results(arguments.output / "fine-tuning.json")
    images = read_sign_digits(arguments.sign_digits)
    pixels, labels = images
    tasks = {"digits": "other digits"}
    base = pretrain("digits", (pixels[labels < 5], labels[labels < 5]), arguments.runs_dir)
    measure(results, "digits", images, range(5, 10), base, arguments.seeds)
    for task in tasks:
        print(table(results, task))
    (arguments.output / "fine-tuning.svg").write_text(figure(results, tasks))


if __name__ == "__main__":
    main()
