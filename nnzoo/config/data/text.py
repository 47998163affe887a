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

    The vocabulary and the classes come from the train split, and other tokens become one unknown token. Texts longer
    than `max_length` are truncated at the end.
    """

    name: Literal["text"]
    text: ColumnName | None = Field(None, description="column of the text; null: the only column beside the target")
    target: ColumnName | None = Field(None, description="column of the class; null: each file is a class")
    tokenizer: Literal["word", "char"] = Field(
        "word", description="the tokens: words and punctuation marks, or characters"
    )
    lowercase: bool = Field(False, description="convert the text to lower case")
    max_length: Count | None = Field(
        None, description="maximum number of tokens per text; null: that of the longest text, at most 512"
    )
    min_count: Count = Field(1, description="tokens with fewer occurrences become the unknown token")
    vocab_size: Count | None = Field(
        None, description="maximum size of the vocabulary, most frequent tokens first; null: no limit"
    )

    missing: Items[Cell] = Field(("",), description="cells that are read as missing values")
    missing_target: Literal["auto", "drop", "error"] = Field(
        "auto", description="rows without a target. drop: skip them; auto: skip them if they are less than half; error"
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
