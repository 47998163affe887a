"""Random texts: tokens, vocabulary, ids, classes and locations equal those of an independent oracle.

NNZOO_TABLES sets their number: one text dataset per ten tables.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command_line import predicted, values_in
from hypothesis import HealthCheck, given, seed, settings
from random_texts import TextPlan, WrittenTexts, texts, write_texts
from sklearn.preprocessing import LabelEncoder

import nnzoo
from nnzoo.experiment.prepare import prepare

NUM_TEXTS = int(os.environ.get("NNZOO_TABLES", "120")) // 10
UNKNOWN, FIRST = 1, 2


def config_of(written: WrittenTexts) -> dict[str, Any]:
    plan = written.plan
    data: dict[str, Any] = {
        "name": "text",
        "path": str(written.path),
        "tokenizer": plan.tokenizer,
        "lowercase": plan.lowercase,
        "min_count": plan.min_count,
        "vocab_size": plan.vocab_size,
        "split": {"val": 0.2, "test": 0.2, "deduplicate": plan.deduplicate},
    }
    data |= {"target": "label", "missing": [""]} if plan.form == "columns" else {}
    model = {"name": "cnn", "blocks": [{"global_pool": "max"}], "embedding": 4}
    return {"data": data, "model": model, "train": {"epochs": 1, "batch_size": "full", "device": "cpu"}}


def symbols_of(text: str, plan: TextPlan) -> list[str]:
    """Returns characters; or words of letters, digits, underscores and inner apostrophes, and other characters."""
    text = text.lower() if plan.lowercase else text
    if plan.tokenizer == "char":
        return list(text)
    found: list[str] = []
    inside = False
    for index, sign in enumerate(text):
        is_word = sign.isalnum() or sign == "_"
        after = text[index + 1 : index + 2]
        joins = inside and sign in "'’" and (after.isalnum() or after == "_")
        if inside and (is_word or joins):
            found[-1] += sign
        elif not sign.isspace():
            found.append(sign)
        inside = is_word or joins
    return found


@pytest.mark.slow
@settings(max_examples=max(1, NUM_TEXTS), deadline=None, suppress_health_check=list(HealthCheck), database=None)
@seed(0)
@given(texts())
def test_random_texts(plan: TextPlan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(plan, Path(folder))


def check(plan: TextPlan, folder: Path) -> None:
    (folder / "data").mkdir()
    written = write_texts(plan, folder / "data")
    dataset = prepare(nnzoo.load_config(config_of(written))).dataset
    cut = [symbols_of(text, plan) for text in written.texts]
    row_at = {place: row for row, place in enumerate(written.places)}
    rows = {}
    for name, split in dataset.splits.items():
        assert split.rows is not None
        rows[name] = [row_at[dataset.sample_names[number]] for number in split.rows.tolist()]
    kept = first_of_each({row: (written.labels[row], *cut[row]) for row in range(len(cut))}, set())
    kept = kept if plan.deduplicate else list(range(len(cut)))
    for name in ("val", "test"):
        assert len(rows[name]) == round(0.2 * len(kept))
    train = sorted({*kept} - {*rows["val"], *rows["test"]})
    encoder = LabelEncoder().fit([written.labels[row] for row in train])
    assert list(dataset.classes) == list(encoder.classes_)
    token_of, longest = vocabulary_of([cut[row] for row in train], plan)
    assert dataset.num_tokens == len(token_of) + FIRST
    tokens = {row: [token_of.get(symbol, UNKNOWN) for symbol in cut[row][:longest]] for row in kept}
    if plan.deduplicate:
        # Training samples with the same tokens as an earlier or a held-out sample are duplicates too.
        keys = {row: (written.labels[row], *tokens[row]) for row in kept}
        held_out = {keys[row] for name in ("val", "test") for row in rows[name]}
        train = first_of_each({row: keys[row] for row in train}, held_out)
    assert sorted(rows["train"]) == train
    for name, part in rows.items():
        split = dataset.splits[name]
        assert split.lengths is not None
        found = [each[:length] for each, length in zip(split.inputs.tolist(), split.lengths.tolist(), strict=True)]
        assert found == [tokens[row] for row in part]
        assert split.targets.tolist() == encoder.transform([written.labels[row] for row in part]).tolist()
    check_round_trip(written, folder)


def first_of_each(keys: dict[int, tuple[object, ...]], others: set[tuple[object, ...]]) -> list[int]:
    """Returns the rows whose key occurs in no earlier row and not in `others`."""
    first: dict[tuple[object, ...], int] = {}
    for row, key in keys.items():
        first.setdefault(key, row)
    return [row for key, row in first.items() if key not in others]


def vocabulary_of(cut: list[list[str]], plan: TextPlan) -> tuple[dict[str, int], int]:
    """Returns ids by symbol, ordered by frequency, then alphabetically; and the length of the longest text."""
    counts = Counter(symbol for symbols in cut for symbol in symbols)
    ranked = sorted((each for each in counts if counts[each] >= plan.min_count), key=lambda each: (-counts[each], each))
    return {symbol: FIRST + index for index, symbol in enumerate(ranked[: plan.vocab_size])}, max(map(len, cut))


def check_round_trip(written: WrittenTexts, folder: Path) -> None:
    """Predictions for a text do not depend on how it is passed."""
    run = nnzoo.train(config_of(written), runs_dir=folder / "runs", quiet=True)
    from_python = run.model.predict(written.texts).tolist()
    given = [argument for text in written.texts for argument in ("--text", text)]
    assert values_in(predicted(run.run_dir, *given), "prediction") == from_python
    if written.plan.form == "columns":
        assert values_in(predicted(run.run_dir, written.path), "prediction") == from_python
