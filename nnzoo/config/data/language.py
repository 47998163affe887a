"""Text for language models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.base import Count
from nnzoo.config.data.base import FilePath, RepairedFiles
from nnzoo.config.facts import Facts


class Language(RepairedFiles):
    """Language modeling: each token of a text is predicted from the tokens before it, p(x) = p(x_1) p(x_2 | x_1) ...

    The beginning of the text is the train split, followed by val and test; `split.stratify` and `split.seed` have no
    effect. The vocabulary is built from the train split; all other tokens map to one unknown token. A token is
    predicted only from earlier tokens of its sample. Metrics are per token; perplexity is exp of the mean loss.
    """

    name: Literal["language"]
    path: FilePath = Field(
        description="text file, may be compressed; or folder, glob pattern or zip archive of files, read in natural "
        "order"
    )
    val_path: FilePath | None = Field(None, description="text of the val split")
    test_path: FilePath | None = Field(None, description="text of the test split")
    tokenizer: Literal["char", "word"] = Field(
        "char", description="char: tokens are characters; word: tokens are words and punctuation marks"
    )
    sequence_length: Count | None = Field(
        None, description="number of tokens per sample; null: 64, or with by_line the length of the longest line"
    )
    by_line: bool = Field(
        False, description="make each line a sample; the end of a line is a token, which is also predicted"
    )
    lowercase: bool = Field(False, description="convert the text to lower case")
    min_count: Count = Field(1, description="map tokens with fewer occurrences to the unknown token")
    vocab_size: Count | None = Field(
        None, description="maximum size of the vocabulary, which keeps the most frequent tokens; null: no limit"
    )

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
