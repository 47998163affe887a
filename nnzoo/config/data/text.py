"""Text classification."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.base import Count, Items
from nnzoo.config.data.base import ColumnName
from nnzoo.config.data.delimited import Cell, Delimited
from nnzoo.config.facts import Facts


class Text(Delimited):
    """Texts and their classes: columns `text` and `target`, or one file per class with one text per line.

    The vocabulary and the classes are built from the train split; all other tokens map to one unknown token. Texts
    longer than `max_length` are truncated at the end.
    """

    name: Literal["text"]
    text: ColumnName | None = Field(None, description="column of the text; null: the only column except the target")
    target: ColumnName | None = Field(None, description="column of the class; null: one file per class")
    tokenizer: Literal["word", "char"] = Field(
        "word", description="word: tokens are words and punctuation marks; char: tokens are characters"
    )
    lowercase: bool = Field(False, description="convert the text to lower case")
    max_length: Count | None = Field(
        None, description="maximum number of tokens per text; null: the length of the longest text, at most 512"
    )
    min_count: Count = Field(1, description="map tokens with fewer occurrences to the unknown token")
    vocab_size: Count | None = Field(
        None, description="maximum size of the vocabulary, which keeps the most frequent tokens; null: no limit"
    )

    missing: Items[Cell] = Field(("",), description="cells that are read as missing values")
    missing_target: Literal["auto", "drop", "error"] = Field(
        "auto",
        description="how to handle rows without a target. drop: skip them; error: raise an error; auto: skip them "
        "if they are less than half of the rows",
    )

    def facts(self) -> Facts:
        return Facts(
            task="classification",
            layout="tokens",
            num_targets=0,
            input_shape=(self.max_length,) if self.max_length else None,
            has_val=bool(self.val_path or self.split.val > 0),
            has_test=bool(self.test_path or self.split.test > 0),
            normalize="none",
        )
