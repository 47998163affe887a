"""Small synthetic versions of the files in the documentation."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

WORDS = {"good": "a great warm clever film", "bad": "a dull cold slow mess"}
NAMES = {"Dutch": ("janssen", "de vries", "bakker", "visser"), "Japanese": ("tanaka", "sato", "nakamura", "ito")}


def write_sample_files() -> None:
    """Writes one small data set of each kind into the current folder."""
    rng = np.random.default_rng(0)
    _write_passengers(rng)
    _write_census(rng)
    _write_images(rng)
    _write_texts(rng)
    _write_weather(rng)
    x = rng.normal(size=(60, 4))
    np.savez("mine.npz", x=x, y=(x[:, 0] > 0).astype(np.int64))
    np.savez("new.npz", x=x[:5])


def _write_rows(name: str, header: Iterable[object] | None, rows: Iterable[Iterable[object]]) -> None:
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if header is not None:
            writer.writerow(header)
        writer.writerows(rows)


def _write_passengers(rng: np.random.Generator) -> None:
    rows = []
    for _ in range(120):
        age, fare, sex = int(rng.integers(1, 80)), round(float(rng.gamma(2, 15)), 2), rng.choice(["male", "female"])
        survived = int((sex == "female") ^ (rng.random() < 0.2))
        rows.append([survived, sex, age if rng.random() < 0.9 else "", fare])
    header = ["survived", "sex", "age", "fare"]
    _write_rows("passengers.csv", header, rows)
    _write_rows("labelled.csv", header, rows[:30])
    _write_rows("new.csv", header[1:], [row[1:] for row in rows[:5]])


def _write_census(rng: np.random.Generator) -> None:
    def rows(count: int, end: str) -> list[list[object]]:
        made: list[list[object]] = []
        for _ in range(count):
            numbers = [int(rng.integers(0, 1000)) for _ in range(5)]
            years = int(rng.integers(8, 17))
            income = ">50K" if years + rng.normal() > 12 else "<=50K"
            names = [str(rng.choice(["a", "b", "?"])) for _ in range(8)]
            row = [
                numbers[0],
                names[0],
                numbers[1],
                names[1],
                years,
                *names[2:7],
                *numbers[2:5],
                names[7],
                income + end,
            ]
            made.append(row)
        return made

    _write_rows("census/train.csv", None, rows(150, ""))
    _write_rows("census/test.csv", None, rows(50, "."))


def _write_images(rng: np.random.Generator) -> None:
    for folder, count in (("photos", 12), ("labelled_photos", 3)):
        for label, level in (("day", 200), ("night", 40)):
            (Path(folder) / label).mkdir(parents=True)
            for index in range(count):
                _write_image(rng, level, Path(folder) / label / f"{index}.png")
    Path("more_photos").mkdir()
    for path in ("new.png", "more_photos/a.png", "more_photos/b.png"):
        _write_image(rng, 120, Path(path))


def _write_image(rng: np.random.Generator, level: int, path: Path) -> None:
    pixels = (level + rng.integers(-30, 30, size=(20, 20, 3))).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def _write_texts(rng: np.random.Generator) -> None:
    rows = [[" ".join(rng.choice(WORDS[stars].split(), 4)), stars] for stars in ("good", "bad") * 40]
    _write_rows("reviews.csv", ["review", "stars"], rows)
    Path("new.txt").write_text("a great film\na slow mess\n", encoding="utf-8")
    Path("names").mkdir()
    for language, names in NAMES.items():
        lines = [f"{name} {letter}" for name in names for letter in "abcdef"]
        Path(f"names/{language}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    play = "".join(f"KING: {' '.join(rng.choice(['what', 'news', 'my', 'lord', 'good'], 6))}.\n" for _ in range(120))
    Path("shakespeare.txt").write_text(play, encoding="utf-8")
    Path("lines.txt").write_text("KING: what news.\n", encoding="utf-8")
    tree = "(3 (2 It) (4 (2 's) (4 fun)))\n(1 (2 It) (0 (2 's) (0 dull)))\n"
    Path("trees.txt").write_text(tree * 20, encoding="utf-8")


def _write_weather(rng: np.random.Generator) -> None:
    rows = []
    for day in range(160):
        temperature = 10 + 8 * np.sin(day / 20) + rng.normal()
        rows.append(
            [
                date(2024, 1, 1) + timedelta(days=day),
                round(temperature, 1),
                round(1013 + rng.normal(), 1),
                int(rng.integers(30, 90)),
                rng.choice(["N", "E", "S", "W"]),
            ]
        )
    header = ["date", "temperature", "pressure", "humidity", "wind_direction"]
    _write_rows("weather.csv", header, rows)
    _write_rows("new_weather.csv", header, rows[-30:])
