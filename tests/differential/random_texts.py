"""Random classified texts, written as columns of a file or as one file per class."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from hypothesis import strategies as st

WORDS = (
    *(
        "the",
        "The",
        "THE",
        "don't",
        "rock’n’roll",
        "naïve",
        "größer",
        "2.5",
        "1,000",
        "a_b",
        "x2",
        "東京",
        "e-mail",
        "¿qué?",
    ),
    *("'quoted'", "end.", "(so)", "...", "50%", "O'Neill's", "it''s", "Ünal", "straße", "☃", "tab", "NA", "null", "-1"),
)
LATIN = tuple(word for word in WORDS if word.encode("cp1252", "ignore").decode("cp1252") == word)
CLASSES = ("good", "very good", "bad", "so, so", "größe")


@dataclass(frozen=True)
class TextPlan:
    """A text dataset.

    Attributes:
        seed: The seed of the words.
        num_texts: N.
        form: Columns of a file, or one file per class.
        num_classes: K.
        encoding: The encoding of the files.
        newline: The line end of the files.
        tokenizer: A field of `data: text`, like the next ones.
        lowercase: Whether case is ignored.
        min_count: Rarer symbols are unknown.
        vocab_size: The size of the vocabulary.
        deduplicate: Whether duplicate texts are dropped.
        two_lines: Whether some texts of a column have two lines.
    """

    seed: int
    num_texts: int
    form: Literal["columns", "files"]
    num_classes: int
    encoding: str
    newline: str
    tokenizer: Literal["word", "char"]
    lowercase: bool
    min_count: int
    vocab_size: int | None
    deduplicate: bool
    two_lines: bool


def texts() -> st.SearchStrategy[TextPlan]:
    """Returns a strategy for text datasets."""
    return st.builds(
        TextPlan,
        seed=st.integers(0, 2**32 - 1),
        num_texts=st.integers(40, 100),
        form=st.sampled_from(["columns", "files"]),
        num_classes=st.integers(2, 4),
        encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
        newline=st.sampled_from(["\n", "\r\n"]),
        tokenizer=st.sampled_from(["word", "char"]),
        lowercase=st.booleans(),
        min_count=st.integers(1, 3),
        vocab_size=st.sampled_from([None, None, 10]),
        deduplicate=st.booleans(),
        two_lines=st.booleans(),
    )


@dataclass
class WrittenTexts:
    """Texts on disk.

    Attributes:
        plan: The plan.
        path: The file, or the folder.
        texts: (N,) the texts, stripped.
        labels: (N,) the class per text.
        places: (N,) the file and line per text.
    """

    plan: TextPlan
    path: Path
    texts: list[str]
    labels: list[str]
    places: list[str]


def write_texts(plan: TextPlan, folder: Path) -> WrittenTexts:
    """Writes texts into an empty folder."""
    random = Random(plan.seed)
    pool = LATIN if plan.encoding == "cp1252" else WORDS
    labels = [CLASSES[random.randrange(plan.num_classes)] for _ in range(plan.num_texts)]
    texts = [" ".join(random.choice(pool) for _ in range(random.randint(1, 8))) for _ in labels]
    for row in range(1, plan.num_texts, 7):
        texts[row], labels[row] = texts[row - 1], labels[row - 1]
    if plan.two_lines and plan.form == "columns":
        texts = [text.replace(" ", plan.newline, 1) if random.random() < 0.2 else text for text in texts]
    return (_write_columns if plan.form == "columns" else _write_files)(plan, folder, texts, labels)


def _write_columns(plan: TextPlan, folder: Path, texts: list[str], labels: list[str]) -> WrittenTexts:
    path, out, places, line = folder / "t.csv", io.StringIO(newline=""), [], 2
    writer = csv.writer(out, lineterminator=plan.newline)
    writer.writerow(["text", "label"])
    for text, label in zip(texts, labels, strict=True):
        places.append(f"{path}: line {line}")
        writer.writerow([text, label])
        line += 1 + text.count("\n")
    path.write_bytes(out.getvalue().encode(plan.encoding))
    return WrittenTexts(plan, path, texts, labels, places)


def _write_files(plan: TextPlan, folder: Path, texts: list[str], labels: list[str]) -> WrittenTexts:
    found = WrittenTexts(plan, folder, [], [], [])
    for label in sorted(set(labels)):
        own = [text for text, each in zip(texts, labels, strict=True) if each == label]
        path = folder / f"{label}.txt"
        # Blank lines are not texts, but count as lines.
        path.write_bytes("".join(f" {text}{plan.newline}{plan.newline}" for text in own).encode(plan.encoding))
        found.texts += own
        found.labels += [label] * len(own)
        found.places += [f"{path}: line {1 + 2 * index}" for index in range(len(own))]
    return found
