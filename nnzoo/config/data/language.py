"""Text for a language model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nnzoo.config.base import Count
from nnzoo.config.data.base import FilePath, RepairedFiles
from nnzoo.config.facts import Facts


class Language(RepairedFiles):
    """Language modeling: each token of a text is predicted from those before it, p(x) = p(x_1) p(x_2 | x_1) ...

    The beginning of the text is the train split, then come val and test; `split.stratify` and `split.seed` have no
    effect. The vocabulary comes from the train split, and other tokens become one unknown token. A token is predicted
    from the earlier tokens of its sample only. Metrics are per token; perplexity is exp of the mean loss.
    """

    name: Literal["language"]
    path: FilePath = Field(
        description="text file, also compressed; or folder, pattern or zip archive of files, in natural order"
    )
    val_path: FilePath | None = Field(None, description="text of the val split")
    test_path: FilePath | None = Field(None, description="text of the test split")
    tokenizer: Literal["char", "word"] = Field(
        "char", description="the tokens: characters, or words and punctuation marks"
    )
    sequence_length: Count | None = Field(
        None, description="number of tokens per sample; null: 64, or with by_line the length of the longest line"
    )
    by_line: bool = Field(
        False, description="each line is a sample, and the end of the line is a token that is predicted too"
    )
    lowercase: bool = Field(False, description="convert the text to lower case")
    min_count: Count = Field(1, description="tokens with fewer occurrences become the unknown token")
    vocab_size: Count | None = Field(
        None, description="maximum size of the vocabulary, most frequent tokens first; null: no limit"
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
