"""Maps words or characters to integers, with a vocabulary built only from the training texts."""

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
"""Token 0 pads texts to a common length; token 1 stands for every symbol that is not in the training texts."""

WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Vocabulary(BaseModel):
    """Splits texts into symbols and maps each symbol to its token, an integer.

    Attributes:
        tokenizer: "word": each run of letters and digits and each punctuation mark is a symbol; "char": each character.
        lowercase: Whether texts are converted to lower case.
        symbols: The known symbols, the most frequent first; the token of `symbols[i]` is i + 2.
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
        """Builds the vocabulary of texts. Symbols with the same count are in alphabetical order.

        Args:
            texts: The training texts.
            tokenizer: "word" or "char".
            lowercase: Whether texts are converted to lower case.
            min_count: Symbols that occur fewer times are mapped to the unknown symbol.
            max_symbols: The number of the most frequent symbols to keep; None for all.
        """
        untrained = cls(tokenizer=tokenizer, lowercase=lowercase, symbols=())
        return cls.of_symbols(map(untrained.tokenize, texts), untrained, min_count=min_count, max_symbols=max_symbols)

    @classmethod
    def of_symbols(
        cls, texts: Iterable[Sequence[str]], untrained: Self, *, min_count: int = 1, max_symbols: int | None = None
    ) -> Self:
        """Builds the vocabulary of texts that are already split into symbols by `untrained`."""
        counts = Counter(symbol for text in texts for symbol in text)
        ranked = sorted((-count, symbol) for symbol, count in counts.items() if count >= min_count)
        return untrained.model_copy(update={"symbols": tuple(symbol for _, symbol in ranked[:max_symbols])})

    def __len__(self) -> int:
        """Returns the number of tokens, including the two special tokens."""
        return len(self.symbols) + NUM_SPECIAL

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each token. No symbol has the name of a special token."""
        return ("(padding)", "(unknown)", *self.symbols)

    def tokenize(self, text: str) -> Sequence[str]:
        """Splits a text into symbols."""
        text = text.lower() if self.lowercase else text
        return text if self.tokenizer == "char" else WORD.findall(text)

    def encode(self, text: str) -> list[int]:
        """Returns the tokens of a text."""
        return self.encode_symbols(self.tokenize(text))

    def encode_symbols(self, symbols: Iterable[str]) -> list[int]:
        """Returns the token of each symbol."""
        return [self._numbers.get(symbol, UNKNOWN) for symbol in symbols]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {symbol: number for number, symbol in enumerate(self.symbols, start=NUM_SPECIAL)}


def pad(tokens: Sequence[Sequence[int]], num_steps: int) -> tuple[Tensor, Tensor]:
    """Pads lists of tokens into one tensor.

    Args:
        tokens: N lists of at least one token.
        num_steps: T. Longer lists are truncated at the end.

    Returns:
        (N, T) int64 tokens, 0 beyond the end; (N,) int64 lengths.
    """
    padded = torch.zeros(len(tokens), num_steps, dtype=torch.int64)
    lengths = torch.tensor([min(len(each), num_steps) for each in tokens])
    kept = [number for each in tokens for number in each[:num_steps]]
    padded[torch.arange(num_steps) < lengths.unsqueeze(1)] = torch.tensor(kept)
    return padded, lengths
