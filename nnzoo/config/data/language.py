"""A text to go on with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.base import Count
from nnzoo.config.data.base import FilePath, RepairedFiles
from nnzoo.config.facts import Facts


class Language(RepairedFiles):
    """A text whose every next symbol is predicted: p(x_1, x_2, ..) = p(x_1) p(x_2 | x_1) ..

    Its beginning is train, what follows val, its end test: `split.stratify` and `split.seed` are for other data. The
    vocabulary is that of the train part; whatever it does not have is one unknown symbol. Every sample is predicted
    from its own symbols alone. Results are of symbols: perplexity is exp of the mean loss.
    """

    name: Literal["language"]
    path: FilePath = Field(
        description="a text file, compressed or not; a folder, a glob pattern or a zip archive: texts in natural order"
    )
    val_path: FilePath | None = Field(None, description="a text that is the val split")
    test_path: FilePath | None = Field(None, description="a text that is the test split")
    tokenizer: Literal["char", "word"] = Field("char", description="the symbols: characters, or words and signs")
    sequence_length: Count | None = Field(
        None, description="symbols predicted in a sample; null: 64, or by line those of the longest one"
    )
    by_line: bool = Field(False, description="lines are samples, and their end is a symbol that is predicted too")
    lowercase: bool = Field(False, description="whether case is ignored")
    min_count: Count = Field(1, description="rarer symbols are unknown ones")
    vocab_size: Count | None = Field(None, description="keep the most frequent symbols, this many; null: all")

    def facts(self) -> Facts:
        steps = self.sequence_length
        if steps is None and not self.by_line:
            steps = 64
        return Facts(
            "classification",
            "tokens",
            num_targets=0,
            input_shape=(steps,) if steps else None,
            has_val=bool(self.val_path or self.split.val > 0),
            has_test=bool(self.test_path or self.split.test > 0),
            normalize="none",
            per="step",
            choices={"sequence_length": steps} if steps else {},
        )
