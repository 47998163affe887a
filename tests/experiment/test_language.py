"""Language models: dividing, training, evaluating and continuing text."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnzoo
from nnzoo.cli.app import run as cli
from nnzoo.config import load_config
from nnzoo.data import Division, load_language
from nnzoo.errors import CheckpointError, ConfigError, DataError
from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint
from nnzoo.run.artifact import load_artifact, save_artifact

SONG = "the cat sat on the mat.\nthe dog sat on the log.\n"


def write(folder: Path, text: str, name: str = "text.txt") -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


def config_of(path: Path, **data: Any) -> dict[str, Any]:
    return {
        "data": {"name": "language", "path": str(path), "sequence_length": 24, **data},
        "model": {"name": "gru", "hidden_size": 32},
        "optimizer": {"name": "adam", "lr": 0.02},
        "train": {"epochs": 12, "batch_size": 16},
    }


@pytest.fixture(scope="module")
def singer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("song")
    return nnzoo.train(config_of(write(folder, SONG * 60)), runs_dir=folder, quiet=True)


@pytest.fixture(scope="module")
def liner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("lines")
    config = config_of(write(folder, SONG * 60), by_line=True, tokenizer="word", sequence_length=None)
    return nnzoo.train(config, runs_dir=folder, quiet=True)


def test_windows_follow_each_other_and_share_no_target(tmp_path: Path) -> None:
    text = "abcabcabdabcdd"
    dataset = load_language(path=write(tmp_path, text), sequence_length=4)
    assert dataset.classes == ("<unknown>", "a", "b", "c", "d")
    symbols = dict(enumerate(("?", *dataset.classes)))
    train = dataset.train
    assert train.lengths is not None
    rows = list(zip(train.inputs.tolist(), train.targets.tolist(), train.lengths.tolist(), strict=True))
    inputs = ["".join(symbols[token] for token in row[:length]) for row, _, length in rows]
    targets = ["".join(dataset.classes[label] for label in row[:length]) for _, row, length in rows]
    assert inputs == ["abca", "bcab", "dabc", "d"]
    assert targets == ["bcab", "cabd", "abcd", "d"]
    assert train.targets[-1].tolist()[1:] == [-100] * 3
    assert dataset.per == "step"


def test_the_text_is_divided_in_order_and_the_vocabulary_is_of_the_train_part(tmp_path: Path) -> None:
    path = write(tmp_path, "ab" * 40 + "bc" * 5 + "ad" * 5)
    dataset = load_language(path=path, sequence_length=3, division=Division(0.1, 0.1))
    assert dataset.classes == ("<unknown>", "a", "b")
    assert dataset.num_tokens == 4
    assert (dataset.splits["val"].inputs == 1).any()
    predicted = {name: int((split.targets >= 0).sum()) for name, split in dataset.splits.items()}
    assert predicted == {"train": 79, "val": 9, "test": 9}
    other = load_language(path=path, val_path=write(tmp_path, "abba", "val.txt"), division=Division(0.5, 0.5))
    assert int((other.splits["val"].targets >= 0).sum()) == 3
    assert int((other.splits["test"].targets >= 0).sum()) == 49
    assert len(load_language(path=path, sequence_length=3, limit=2).train) == 2


def test_lines_begin_and_end(tmp_path: Path) -> None:
    path = write(tmp_path, "ab\r\n\r\nb\r\nlonger line\r\n")
    dataset = load_language(path=path, by_line=True, sequence_length=3)
    token = {name: number for number, name in enumerate(dataset.classes, start=1)}
    assert dataset.classes[-1] == "<end>"
    assert dataset.train.inputs.tolist() == [
        [0, token["a"], token["b"]],
        [0, token["b"], 0],
        [0, token["l"], token["o"]],
    ]
    end = token["<end>"]
    assert (dataset.train.targets + 1).tolist() == [
        [token["a"], token["b"], end],
        [token["b"], end, -99],
        [token["l"], token["o"], token["n"]],
    ]
    assert dataset.warnings == ("1 of 3 train lines are longer than 3 symbols and are truncated",)
    whole = load_language(path=path, by_line=True)
    assert whole.input_shape == (12,)
    assert whole.warnings == ()


def test_equal_lines_can_be_dropped(tmp_path: Path) -> None:
    path = write(tmp_path, "ab\nba\nab\nb\nba\n")
    for tokenizer in ("char", "word"):
        dataset = load_language(path=path, tokenizer=tokenizer, by_line=True, division=Division(0, 0, deduplicate=True))
        assert len(dataset.train) == 3
        assert dataset.notes == ("deduplicate: dropped 2 of 5 samples, each equal to an earlier one",)
    words = {"name": "language", "path": str(path), "split": {"deduplicate": True}}
    with pytest.raises(ConfigError, match=r"Set `by_line: true`"):
        load_config({"data": words, "model": "gru"})


def test_words_case_and_rare_tokens(tmp_path: Path) -> None:
    path = write(tmp_path, "The cat, the DOG. the end")
    dataset = load_language(path=path, tokenizer="word", lowercase=True, min_count=2)
    assert dataset.classes == ("<unknown>", "the")
    assert load_language(path=path, tokenizer="word", vocab_size=3).num_tokens == 5


@pytest.mark.parametrize("text", ["", "x", "\n"])
def test_a_too_short_text_is_an_error(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=r"text\.txt: .*too short"):
        load_language(path=path)
    if text != "x":
        with pytest.raises(DataError, match=r"text\.txt: .*too short"):
            load_language(path=path, by_line=True, division=Division(0.2, 0.2))


def test_it_learns_and_is_evaluated(singer: Any) -> None:
    metrics, baseline = singer.metrics, singer.result["baseline"]
    assert metrics["test/perplexity"] == pytest.approx(math.exp(metrics["test/loss"]), rel=1e-4)
    assert metrics["test/perplexity"] < 1.6 < 8 < baseline["test/perplexity"]
    assert metrics["test/accuracy"] > 0.8 > 0.3 > baseline["test/accuracy"]
    assert singer.config.train.monitor == "val/loss"
    assert singer.config.train.metrics == ("accuracy", "perplexity")
    found = evaluate_checkpoint(singer.run_dir)
    assert {f"test/{name}": value for name, value in found.metrics.items()} == {
        name: value for name, value in metrics.items() if name.startswith("test/")
    }


def test_the_baseline_uses_token_frequencies(singer: Any) -> None:
    text = SONG * 60
    num_held_out = round(0.15 * len(text))
    train, test = text[: -2 * num_held_out], text[-num_held_out:]
    counts = Counter(train)
    surprise = -np.mean([math.log(counts[symbol] / len(train)) for symbol in test[1:]])
    assert singer.result["baseline"]["test/perplexity"] == pytest.approx(math.exp(surprise), rel=2e-3)


def test_new_text_is_evaluated(singer: Any, tmp_path: Path) -> None:
    known = evaluate_checkpoint(singer.run_dir, data=write(tmp_path, SONG * 3)).metrics
    strange = evaluate_checkpoint(singer.run_dir, data=write(tmp_path, "xyzzy plugh " * 9)).metrics
    assert known["perplexity"] < 1.6 < 50 < strange["perplexity"]


def go_on(capsys: pytest.CaptureFixture[str], run: Any, *words: str) -> str:
    assert cli(["predict", str(run.run_dir), *words]) == 0
    return capsys.readouterr().out


def test_it_continues_a_text(singer: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = go_on(capsys, singer, "--text", "the cat", "--length", "30", "--temperature", "0")
    assert out.startswith("the cat sat on the ")
    assert len(out) == len("the cat") + 30 + 1
    drawn = [go_on(capsys, singer, "--text", "the", "--temperature", "3", "--seed", seed) for seed in ("1", "1", "2")]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 3 + 200 + 1
    said = json.loads(go_on(capsys, singer, "--text", "", "--length", "5", "--json"))
    assert said["prompt"] == ""
    assert said["text"] == said["continuation"]
    assert len(said["text"]) == 5
    assert len(go_on(capsys, singer, "--text", "ξ÷€", "--length", "4")) == 8
    assert go_on(capsys, singer, "--text", "log", "--length", "0") == "log\n"
    assert go_on(capsys, singer, "--text", "a", "--length", "3", "--output", str(tmp_path / "o.txt"), "--quiet") == ""
    assert len((tmp_path / "o.txt").read_text()) == 5


def test_the_hidden_state_is_that_of_the_entire_text(singer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Every token is the likeliest one after the entire text before it."""
    prompt = "the dog sat"
    text = go_on(capsys, singer, "--text", prompt, "--length", "25", "--temperature", "0")[:-1]
    vocabulary = singer.model.reader.vocabulary
    for end in range(len(prompt), len(text)):
        outputs = singer.model.module(torch.tensor([vocabulary.encode(text[:end])]))
        assert singer.model.classes[int(outputs[0, -1, 1:].argmax()) + 1] == text[end]


def test_lines_are_continued_line_by_line(liner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    out = go_on(capsys, liner, "--text", "the cat sat", "--length", "30", "--temperature", "0.1")
    lines = out.split("\n")
    assert lines[0] == "the cat sat on the mat."
    assert set(lines[1:3]) <= {"the cat sat on the mat.", "the dog sat on the log."}
    assert go_on(capsys, liner, "--text", "", "--length", "7", "--temperature", "0.1")[:4] == "the "


def test_the_likelihood_of_lines(singer: Any, liner: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write(tmp_path, "the cat sat on the mat.\n\nmat the on sat cat the.\n")
    for run, symbols in ((liner, 8), (singer, 22)):
        rows = list(csv.DictReader(go_on(capsys, run, str(path)).splitlines()))
        assert list(rows[0]) == ["input", "symbols", "log_likelihood", "perplexity"]
        assert [row["input"] for row in rows] == ["1", "3"]
        likely, unlikely = rows
        assert int(likely["symbols"]) == symbols
        assert float(likely["log_likelihood"]) > float(unlikely["log_likelihood"]) + 5
        mean = float(likely["log_likelihood"]) / symbols
        assert float(likely["perplexity"]) == pytest.approx(math.exp(-mean))


def test_a_vocabulary_of_another_size_is_damaged(singer: Any, tmp_path: Path) -> None:
    artifact = load_artifact(singer.run_dir / "best.safetensors")
    artifact.metadata["reader"]["vocabulary"]["symbols"].append("ß")
    save_artifact(tmp_path / "best.safetensors", artifact)
    with pytest.raises(CheckpointError, match="damaged"):
        nnzoo.load(tmp_path / "best.safetensors")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", "a", "file.txt"], "continues a single text"),
        (["--text", "a", "--temperature", "-1"], "--temperature: expected a number of at least 0"),
        (["--text", "a", "--length", "-1"], "--length: expected"),
        (["--text", "a", "--seed", str(2**70)], "--seed: expected a number below"),
    ],
)
def test_texts_that_cannot_be_continued_are_refused(
    singer: Any, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["predict", str(singer.run_dir), *words]) == 2
    assert message in capsys.readouterr().err


def test_only_a_language_model_continues_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = nnzoo.train({"data": "iris", "model": "linear", "train": {"epochs": 1}}, runs_dir=tmp_path, quiet=True)
    assert cli(["predict", str(run.run_dir), "--text", "a"]) == 2
    assert "only networks trained on `data: text` or `data: language`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "lstm", "bidirectional": True}, "would read the tokens that it has to predict"),
        ({"name": "lstm", "pooling": "last"}, "last gives one output per sample"),
        ("mlp", "mlp does not support tokens"),
    ],
)
def test_networks_that_would_see_the_target_are_refused(model: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config({"data": {"name": "language", "path": "x.txt"}, "model": model})
