"""Draws docs/boundaries.png, the figure of the README: the decision regions of four shipped configs.

.venv/bin/python scripts/boundaries.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import nnzoo
from nnzoo.experiment.prepare import prepare

NAMES = ("xor_linear", "xor_mlp", "circles_mlp", "spirals_mlp")
COLORS = np.array([[66, 133, 190], [226, 116, 68], [98, 160, 92]], dtype=np.float64)
SIZE, GAP, TITLE = 220, 12, 20
# Images are drawn larger and downscaled, for smooth edges.
FINE = 3


def main() -> None:
    """Trains each config and draws the decision regions next to each other."""
    sheet = Image.new("RGB", (len(NAMES) * (SIZE + GAP) - GAP, SIZE + TITLE), "white")
    pen = ImageDraw.Draw(sheet)
    for column, name in enumerate(NAMES):
        left = column * (SIZE + GAP)
        with tempfile.TemporaryDirectory() as folder:
            run = nnzoo.train(name, runs_dir=folder, quiet=True)
        sheet.paste(decision_regions(run.model, name), (left, TITLE))
        split = "test" if "test/accuracy" in run.metrics else "train"
        pen.text((left + 2, 3), f"{name}: {run.metrics[f'{split}/accuracy']:.0%}", fill="black", font_size=13)
    target = Path(__file__).parents[1] / "docs" / "boundaries.png"
    target.parent.mkdir(exist_ok=True)
    sheet.quantize(128).save(target, optimize=True)


def decision_regions(model: nnzoo.TrainedModel, name: str) -> Image.Image:
    """Draws decision regions: a point has the mean color of the classes, weighted by probability; dots are samples."""
    splits = prepare(nnzoo.load_config(name)).dataset.splits
    split = splits.get("test", splits["train"])
    points, labels = split.inputs.double().numpy(), split.targets.numpy()
    low, high = points.min(0), points.max(0)
    low, high = low - 0.15 * (high - low), high + 0.15 * (high - low)
    size = SIZE * FINE
    x, y = np.meshgrid(np.linspace(low[0], high[0], size), np.linspace(high[1], low[1], size))
    grid = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    probabilities: NDArray[np.float32] = model.predict_proba(grid)
    colors = 0.45 * COLORS[: probabilities.shape[1]] + 0.55 * 255
    image = Image.fromarray((probabilities @ colors).reshape(size, size, 3).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    radius = FINE * (7 if len(points) < 10 else 3)
    for (across, up), label in zip((points - low) / (high - low) * size, labels, strict=True):
        pen.circle((across, size - up), radius, fill=tuple(map(int, COLORS[label])), outline="white", width=FINE)
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
