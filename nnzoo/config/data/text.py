"""Texts with a class each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.base import Count, Items
from nnzoo.config.data.base import ColumnName
from nnzoo.config.data.delimited import Cell, Delimited
from nnzoo.config.facts import Facts


class Text(Delimited):
    """Texts to tell apart: columns `text` and `target`, or one file a class, named after it, with one text a line.

    The vocabulary and the classes are those of the training samples. Whatever they don't have is one unknown symbol;
    texts longer than `max_length` are cut off at their end.
    """

    name: Literal["text"]
    text: ColumnName | None = Field(None, description="column of the text; null: the only one beside the target")
    target: ColumnName | None = Field(None, description="column of the class; null: every file is a class")
    tokenizer: Literal["word", "char"] = Field("word", description="the symbols: words and signs, or characters")
    lowercase: bool = Field(False, description="whether case is ignored")
    max_length: Count | None = Field(None, description="symbols a text; null: of the longest one, up to 512")
    min_count: Count = Field(1, description="rarer symbols are unknown ones")
    vocab_size: Count | None = Field(None, description="keep the most frequent symbols, this many; null: all")

    missing: Items[Cell] = Field(("",), description="cells that mean: no value")
    missing_target: Literal["auto", "drop", "error"] = Field(
        "auto", description="rows without a target. drop: leave them out; auto: if they are less than half; or an error"
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
