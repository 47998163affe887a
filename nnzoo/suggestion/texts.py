"""A config for texts and their classes: columns of a table, lines that begin with a label, or a file per class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnzoo.data.files.contents import plain_name
from nnzoo.data.files.encodings import lines_of, read_text
from nnzoo.data.tables.dialect import lines_with_ends
from nnzoo.errors import UsageError
from nnzoo.suggestion.facts import TableFacts
from nnzoo.suggestion.kinds import siblings_of
from nnzoo.suggestion.layout import start_of_text
from nnzoo.suggestion.suggestion import Suggestion, listed, percent, plural, printable
from nnzoo.suggestion.tables import Question, describe_target, set_for_rare_classes, set_split
from nnzoo.suggestion.training import budget_for, set_training

_LEAST_WORDS = 3.0
_MANY_WORDS = 8.0
_MOST_OTHERS = 3
_MOST_LABELS = 200
_LEAST_LINES = 20


def text_column(facts: TableFacts, target: Sequence[str]) -> str | None:
    """Returns the column of the text if a table is mainly texts and their classes; None if it is a usual table."""
    if len(target) != 1 or facts.columns[target[0]].kind in ("text", "date", "mixed"):
        return None
    others = [column for name, column in facts.columns.items() if name not in target]
    texts = sorted((each for each in others if each.kind == "text"), key=lambda each: -_length(each.top))
    usable = [each for each in others if each.kind in ("number", "category", "boolean", "date")]
    usable = [each for each in usable if not each.is_unique]
    if not texts:
        return None
    text = texts[0]
    is_only = not usable and (text.words >= _LEAST_WORDS or len(texts) == 1)
    is_main = text.words >= _MANY_WORDS and len(usable) <= _MOST_OTHERS
    return text.name if is_only or is_main else None


def _length(top: Sequence[tuple[str, int]]) -> float:
    return sum(len(text) for text, _ in top) / max(len(top), 1)


def suggest_text_table(question: Question, text: str, path: Path) -> Suggestion:
    """Returns a config for a table with a column of texts and one of classes."""
    facts, target = question.facts, question.names[0]
    if question.target.task != "classification":
        raise UsageError(
            f"'{printable(target)}' has {plural(facts.columns[target].distinct, 'number')}, but texts are learned with "
            "classes. Choose a target with classes.",
            where=str(path),
        )
    column = facts.columns[text]
    suggestion = Suggestion("text", {}, task=f"classification of {printable(target)}, {len(question.shares)} classes")
    suggestion.found += [
        f"{plural(facts.num_rows, 'row')}, {plural(len(facts.columns), 'column')}",
        f"{printable(text)} (text): {column.describe()}",
        f"{printable(target)} (target): {facts.columns[target].describe()}",
        *describe_target(question),
    ]
    others = [name for name in facts.columns if name not in (text, target)]
    suggestion.set("data.name", "text")
    suggestion.set("data.path", str(path))
    siblings = {name: each for name, each in siblings_of(path).items() if {text, target} <= {*_columns_of(each, facts)}}
    for name, each in siblings.items():
        suggestion.set(f"data.{name}_path", str(each), f"{each.name} has the same columns")
    for key, value in facts.layout.keys.items():
        suggestion.set(f"data.{key}", value, facts.layout.reasons.get(key, ""))
    suggestion.set("data.text", text, f"not used: {listed(others)}" if others else "")
    suggestion.set("data.target", target)
    count = len(question.rows)
    _set_tokens(suggestion, column.words, count, [name for name, _ in column.top])
    set_split(suggestion, count, None, {*siblings})
    _set_network(suggestion, round(count * 0.7), column.words)
    set_for_rare_classes(suggestion, question.shares, question.target.forms[0])
    return suggestion


def _columns_of(path: Path, facts: TableFacts) -> tuple[str, ...]:
    from nnzoo.data.files.repairs import Repairs
    from nnzoo.data.tables.table import open_table
    from nnzoo.suggestion.facts import options_of

    return open_table([path], options_of(facts.layout), (), repairs=Repairs()).names


def labelled_lines(path: Path) -> Counter[str] | None:
    """Returns the labels if each line is a label, a space and a text, such as `__label__good A fine film`."""
    lines = [line.strip() for line in lines_with_ends(start_of_text(path)) if line.strip()]
    parts = [line.split(" ", 1) for line in lines]
    if len(lines) < _LEAST_LINES or any(len(part) < 2 for part in parts):
        return None
    labels = Counter(part[0] for part in parts)
    words = sum(len(part[1].split()) for part in parts) / len(parts)
    are_labels = all(re.fullmatch(r"[\w:+-]{1,60}", label) for label in labels)
    # The first words of sentences are more varied, or differ in case.
    is_code = all(re.search(r"\d|_|:", label) or label.isupper() for label in labels) or len(labels) <= 10
    few = len(labels) <= min(_MOST_LABELS, len(lines) / 5) and len(labels) > 1
    return labels if few and are_labels and is_code and words >= _LEAST_WORDS else None


def suggest_labelled_lines(path: Path) -> Suggestion:
    """Returns a config for a text file whose lines begin with a label."""
    lines = [line for line in lines_of(read_text(path)) if line.strip()]
    counts = Counter(line.split(" ", 1)[0] for line in lines)
    words = sum(len(line.split()) - 1 for line in lines) / len(lines)
    suggestion = Suggestion("text", {}, task=f"classification of the first word, {len(counts)} classes")
    suggestion.found += [
        f"{plural(len(lines), 'line')}: a label, a space, and a text of about {words:.0f} words",
        _describe_classes(counts),
    ]
    suggestion.set("data.name", "text")
    suggestion.set("data.path", str(path))
    siblings = siblings_of(path)
    siblings = {name: each for name, each in siblings.items() if {*(labelled_lines(each) or ())} <= {*counts}}
    siblings = {name: each for name, each in siblings.items() if labelled_lines(each)}
    for name, each in siblings.items():
        suggestion.set(f"data.{name}_path", str(each), f"{each.name} has the same labels")
    suggestion.set("data.delimiter", " ", "the first space ends the label")
    suggestion.set("data.header", False)
    suggestion.set("data.target", 0, "the label; the rest of the line is the text")
    _set_tokens(suggestion, words, len(lines), [])
    set_split(suggestion, len(lines), None, {*siblings})
    _set_network(suggestion, round(len(lines) * (0.85 if "test" in siblings else 0.7)), words)
    set_for_rare_classes(suggestion, dict(counts.most_common()))
    return suggestion


def suggest_class_files(folder: Path, files: Sequence[Path]) -> Suggestion:
    """Returns a config for a folder with a text file per class."""
    texts = {Path(plain_name(file)).stem: [*filter(str.strip, lines_of(read_text(file)))] for file in files}
    counts = Counter({name: len(lines) for name, lines in texts.items()})
    total = counts.total()
    words = sum(len(line.split()) for lines in texts.values() for line in lines) / max(total, 1)
    distinct = sum(len(set(lines)) for lines in texts.values())
    suggestion = Suggestion("text", {}, task=f"classification of lines, {len(counts)} classes")
    suggestion.found += [
        f"{plural(len(files), 'file')}, one per class; {plural(total, 'line')} of about {words:.0f} words",
        _describe_classes(counts),
    ]
    suggestion.set("data.name", "text")
    pattern, why = _pattern(folder, files)
    suggestion.set("data.path", str(folder / pattern) if pattern else str(folder), why)
    samples = [line for lines in texts.values() for line in lines[:5]]
    _set_tokens(suggestion, words, total, samples)
    set_split(suggestion, distinct, None, set())
    if distinct < total:
        why = (
            f"{total - distinct:,} lines repeat an earlier one of their class; otherwise test would contain train lines"
        )
        suggestion.set("data.split.deduplicate", True, why)
    _set_network(suggestion, round(distinct * 0.7), words)
    set_for_rare_classes(suggestion, dict(counts.most_common()))
    return suggestion


def _pattern(folder: Path, files: Sequence[Path]) -> tuple[str, str]:
    """Returns a glob pattern for the class files, if the folder has other text files; and why."""
    every = {each.name for each in folder.glob("*.txt")}
    wanted = {each.name for each in files}
    if every == wanted:
        return "", ""
    left_out = sorted(every - wanted)
    for pattern in ("*[a-z0-9].txt", "*[a-z].txt", "[!A-Z]*.txt", "[a-z]*.txt"):
        if {each.name for each in folder.glob(pattern)} == wanted:
            return pattern, f"a pattern that leaves out {listed(left_out)}, which is not a class"
    return "", f"WARNING: {listed(left_out)} will be read as a class; move it out of the folder"


def _describe_classes(counts: Counter[str]) -> str:
    shown = [f"{printable(name)} {percent(count / counts.total())}" for name, count in counts.most_common(12)]
    return f"classes: {', '.join(shown)}{', ...' if len(counts) > 12 else ''}"


def _set_tokens(suggestion: Suggestion, words: float, count: int, samples: Sequence[str]) -> None:
    spaced = not samples or sum(" " in text for text in samples) > 0.2 * len(samples)
    if words < 2 or (not spaced and words < _LEAST_WORDS):
        suggestion.set("data.tokenizer", "char", "short texts such as names are read by their characters")
        return
    suggestion.set("data.tokenizer", "word", f"texts of about {words:.0f} words")
    suggestion.set("data.lowercase", True, "fewer different words")
    if count >= 500:
        suggestion.set("data.min_count", 2, "words that occur once can't be learned")
    if words > 200:
        suggestion.set("data.max_length", 400, "longer texts are cut: training time is proportional to the length")


def _set_network(suggestion: Suggestion, num_train: int, words: float) -> None:
    if suggestion.config["data"]["tokenizer"] == "char":
        gru = {"name": "gru", "hidden_size": 64 if num_train > 2_000 else 32}
        suggestion.set("model", gru, "reads the characters in order")
        suggestion.set("optimizer", {"name": "adamw", "lr": 5e-3})
        set_training(suggestion, budget_for(num_train, steps=2_000, least=10), num_train)
        return
    channels = 64 if num_train > 1_000 else 32
    model: dict[str, Any] = {
        "name": "cnn",
        "embedding": 64 if num_train > 1_000 else 32,
        "blocks": [
            {"conv": {"out_channels": channels, "kernel_size": 3, "padding": "same"}},
            {"global_pool": "max"},
        ],
        "dropout": 0.5,
    }
    suggestion.set("model", model, "finds groups of three words anywhere; `lstm` also reads their order, but is slower")
    suggestion.set("optimizer", {"name": "adamw", "lr": 3e-3})
    steps = 1_500 if words < 100 else 800
    set_training(suggestion, budget_for(num_train, steps=steps, least=8), num_train)
