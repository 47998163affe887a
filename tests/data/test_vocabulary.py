from __future__ import annotations

import pytest
import torch

from nnzoo.data.vocabulary import PADDING, UNKNOWN, Vocabulary, pad


def test_the_most_frequent_symbols_come_first() -> None:
    words = Vocabulary.of(["b a a c", "c a, b"], tokenizer="word")
    assert words.symbols == ("a", "b", "c", ",")
    assert words.encode("c, a zebra") == [4, 5, 2, UNKNOWN]
    assert len(words) == 6


def test_min_count_and_max_symbols() -> None:
    texts = ["a a a b b c"]
    assert Vocabulary.of(texts, tokenizer="word", min_count=2).symbols == ("a", "b")
    assert Vocabulary.of(texts, tokenizer="word", max_symbols=1).symbols == ("a",)


@pytest.mark.parametrize(
    ("tokenizer", "text", "symbols"),
    [
        ("word", "Don't stop, it's 8.5!", ["Don't", "stop", ",", "it's", "8", ".", "5", "!"]),
        ("char", "a b", ["a", " ", "b"]),
    ],
)
def test_tokenize(tokenizer: str, text: str, symbols: list[str]) -> None:
    vocabulary = Vocabulary.model_validate({"tokenizer": tokenizer, "lowercase": False, "symbols": ()})
    assert list(vocabulary.tokenize(text)) == symbols
    lower = vocabulary.model_copy(update={"lowercase": True})
    assert list(lower.tokenize(text)) == [symbol.lower() for symbol in symbols]


def test_json_round_trip() -> None:
    words = Vocabulary.of(["a b ü \u00a0 \U0001f600"], tokenizer="char")
    assert Vocabulary.model_validate_json(words.model_dump_json()) == words


def test_padding_and_truncation() -> None:
    tokens, lengths = pad([[5], [2, 3, 4], [7, 8]], 2)
    assert torch.equal(tokens, torch.tensor([[5, PADDING], [2, 3], [7, 8]]))
    assert lengths.tolist() == [1, 2, 2]
