"""Words or characters as numbers: a vocabulary made of the training texts alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal, Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

Tokenizer = Literal["word", "char"]

PADDING, UNKNOWN = 0, 1
NUM_SPECIAL = 2
"""Token 0 fills texts up to a common length; token 1 stands for whatever the training texts don't have."""

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Vocabulary(BaseModel):
    """How a text is cut into symbols, and the number of each symbol.

    Attributes:
        tokenizer: word: runs of letters and digits, each other sign alone; char: every character.
        lowercase: Whether case is ignored.
        symbols: Those known, the most frequent first; the token of `symbols[i]` is i + 2.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    tokenizer: Tokenizer
    lowercase: bool
    symbols: tuple[str, ...]

    @classmethod
    def of(
        cls,
        texts: Iterable[str],
        *,
        tokenizer: Tokenizer,
        lowercase: bool = False,
        min_count: int = 1,
        max_symbols: int | None = None,
    ) -> Self:
        """The vocabulary of some texts; symbols of equal count in their own order.

        Args:
            texts: Those of training.
            tokenizer: How they are cut.
            lowercase: Whether case is ignored.
            min_count: Symbols less frequent than this are unknown.
            max_symbols: How many of the most frequent ones are kept; None for all.
        """
        cutter = cls(tokenizer=tokenizer, lowercase=lowercase, symbols=())
        return cls.of_symbols(map(cutter.cut, texts), cutter, min_count=min_count, max_symbols=max_symbols)

    @classmethod
    def of_symbols(
        cls, texts: Iterable[Sequence[str]], cutter: Self, *, min_count: int = 1, max_symbols: int | None = None
    ) -> Self:
        """The vocabulary of texts that `cutter` cut."""
        counts = Counter(symbol for text in texts for symbol in text)
        ranked = sorted((-count, symbol) for symbol, count in counts.items() if count >= min_count)
        return cutter.model_copy(update={"symbols": tuple(symbol for _, symbol in ranked[:max_symbols])})

    def __len__(self) -> int:
        """Number of tokens, the two special ones among them."""
        return len(self.symbols) + NUM_SPECIAL

    @property
    def names(self) -> tuple[str, ...]:
        """What each token stands for, by its number. No symbol is called like the two special tokens."""
        return ("(padding)", "(unknown)", *self.symbols)

    def cut(self, text: str) -> Sequence[str]:
        """The symbols of a text."""
        text = text.lower() if self.lowercase else text
        return text if self.tokenizer == "char" else _WORD.findall(text)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self.encode_symbols(self.cut(text))

    def encode_symbols(self, symbols: Iterable[str]) -> list[int]:
        """The tokens of symbols."""
        return [self._numbers.get(symbol, UNKNOWN) for symbol in symbols]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols, start=NUM_SPECIAL)}


def pad(tokens: Sequence[Sequence[int]], num_steps: int) -> tuple[Tensor, Tensor]:
    """Token lists as one tensor.

    Args:
        tokens: N lists of at least one token.
        num_steps: T; what is longer is cut off at its end.

    Returns:
        (N, T) int64 tokens, 0 beyond the end; (N,) int64 lengths.
    """
    padded = torch.zeros(len(tokens), num_steps, dtype=torch.int64)
    lengths = torch.tensor([min(len(each), num_steps) for each in tokens])
    kept = [number for each in tokens for number in each[:num_steps]]
    padded[torch.arange(num_steps) < lengths.unsqueeze(1)] = torch.tensor(kept)
    return padded, lengths
