"""Continues text with a language model, and computes the likelihood of text."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnzoo.data import LanguageReader, Samples
from nnzoo.data.language import START
from nnzoo.data.reader import NO_TARGET
from nnzoo.data.vocabulary import UNKNOWN
from nnzoo.errors import UsageError
from nnzoo.experiment.load import TrainedModel
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.models import RecurrentNet
from nnzoo.run.files import write_text
from nnzoo.training.batches.order import eval_batch_size

_CLOSING, _OPENING = frozenset(".,;:!?)]}%"), frozenset("([{")


@dataclass(frozen=True)
class Continuation:
    """A continued text.

    Attributes:
        checkpoint: The file that contains the weights.
        prompt: The prompt.
        continuation: The text after the prompt.
        length: The number of tokens in the continuation.
        temperature: The temperature.
        seed: The seed.
    """

    checkpoint: str
    prompt: str
    continuation: str
    length: int
    temperature: float
    seed: int

    @property
    def text(self) -> str:
        """The prompt and its continuation."""
        return self.prompt + self.continuation

    def as_dict(self) -> dict[str, Any]:
        """Returns the object of `predict --text --json`."""
        return {**vars(self), "text": self.text}

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the text, atomically."""
        write_text(Path(path), self.text + "\n")


def continue_text(
    trained: TrainedModel, prompt: str, *, length: int = 200, temperature: float = 1.0, seed: int = 0
) -> Continuation:
    """Continues a text token by token. Each token is sampled from the distribution predicted for the text so far.

    The network keeps its hidden state, so every token has the same cost. A network that was trained line by line
    predicts line ends, and its state is reset at the start of each line. Without a prompt, the first token is sampled
    by the token frequencies in train. The unknown token is never sampled.

    Args:
        trained: A language model.
        prompt: The prompt; it may be empty or contain unknown tokens.
        length: The number of tokens to add.
        temperature: The divisor of the logits: below 1, likely tokens become likelier; with 0, the likeliest token is
            always taken.
        seed: The seed of the random numbers.

    Raises:
        UsageError: The network is not a language model, or a number is out of range.
    """
    for name, value, least in (("--length", length, 0), ("--temperature", temperature, 0.0), ("--seed", seed, 0)):
        if not least <= value < math.inf:
            raise UsageError(f"expected a number of at least {least:g} (got {value:g}).", where=name)
    if seed >= 2**63:
        raise UsageError(f"expected a number below 2^63 (got {seed}).", where="--seed")
    reader, module = trained.reader, trained.module
    if not isinstance(reader, LanguageReader) or not isinstance(module, RecurrentNet):
        name = trained.config.data.name
        raise UsageError(
            f"only networks trained on `data: language` can continue a text (got {name}). Pass a file or folder "
            "instead.",
            where="--text",
        )
    with use_threads(threads_of_data(trained.config)):
        tokens = _sample(trained, module, reader, prompt, length, temperature, seed)
    continuation = "".join(tokens) if reader.vocabulary.tokenizer == "char" else _join_words(prompt, tokens)
    return Continuation(str(trained.path), prompt, continuation, length, float(temperature), seed)


@torch.inference_mode()
def _sample(
    trained: TrainedModel,
    module: RecurrentNet,
    reader: LanguageReader,
    prompt: str,
    length: int,
    temperature: float,
    seed: int,
) -> list[str]:
    """Returns the tokens that follow a prompt."""
    generator = torch.Generator().manual_seed(seed)
    device = next(module.parameters()).device
    tokens = reader.vocabulary.encode(prompt.rpartition("\n")[2] if reader.by_line else prompt)
    tokens = [START, *tokens] if reader.by_line else tokens
    names = [*reader.classes[:-1], "\n"] if reader.by_line else list(reader.classes)
    states = None
    sampled: list[str] = []
    for _ in range(length):
        if tokens:
            outputs, states = module.advance(torch.tensor([tokens], device=device), states)
            log_shares = trained.decoder.log_probabilities(outputs[:, -1])[0].double().cpu()
        else:
            log_shares = torch.tensor(trained.metadata.target_mean, dtype=torch.float64).log()
        log_shares[0] = -torch.inf  # the unknown token
        if temperature == 0:
            number = int(log_shares.argmax())
        else:
            number = int(torch.multinomial((log_shares / temperature).softmax(0), 1, generator=generator))
        sampled.append(names[number])
        ended = reader.by_line and number == len(names) - 1
        tokens, states = ([START], None) if ended else ([number + UNKNOWN], states)
    return sampled


def _join_words(prompt: str, words: list[str]) -> str:
    """Joins words with spaces, except before closing punctuation, after opening punctuation, and around line ends."""
    text = prompt
    for word in words:
        is_attached = not text or text[-1].isspace() or text[-1] in _OPENING or word in _CLOSING or word == "\n"
        text += word if is_attached else f" {word}"
    return text[len(prompt) :]


def likelihoods(trained: TrainedModel, samples: Samples) -> tuple[list[str], list[list[Any]]]:
    """Returns the table of `nnzoo predict` for a language model: the likelihood of each line.

    Args:
        trained: A language model.
        samples: The lines, as returned by `LanguageReader.read_lines`.

    Returns:
        The header, and one row per line: `input`, the number of the line; `symbols`, the number of predicted tokens;
        `log_likelihood`, the sum of their natural log-probabilities; `perplexity`, exp of minus their mean.
    """
    assert samples.targets is not None
    decoder = trained.decoder.on_cpu()
    size = eval_batch_size(samples.inputs, 1, classes_per_step=len(trained.classes))
    log_likelihoods: list[Tensor] = []
    for part in range(0, len(samples.inputs), size):
        rows = slice(part, part + size)
        targets = samples.targets[rows]
        outputs = trained.outputs_of(samples.inputs[rows], None if samples.lengths is None else samples.lengths[rows])
        each = decoder.log_probabilities(outputs.flatten(0, 1)).gather(1, targets.clamp_min(0).reshape(-1, 1))
        log_likelihoods.append(each.reshape(targets.shape).double().masked_fill(targets == NO_TARGET, 0).sum(1))
    counts = (samples.targets != NO_TARGET).sum(1)
    sums = torch.cat(log_likelihoods)
    perplexities = (-sums / counts).clamp_max(709).exp()
    columns = (samples.names, counts.tolist(), sums.tolist(), perplexities.tolist())
    return ["input", "symbols", "log_likelihood", "perplexity"], [list(row) for row in zip(*columns, strict=True)]
