"""What a language model has learned: a text that it writes, and the likeliest next symbols after some contexts."""

from __future__ import annotations

import torch

from nnzoo.data import LanguageReader
from nnzoo.experiment.load import load
from nnzoo.experiment.predict.language import continue_text
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.models import RecurrentNet
from nnzoo.report.charts import Cell, Part, Section, TableOf, Text
from nnzoo.report.inside.network import Network, network_of
from nnzoo.report.samples import tokens_text

SAMPLED_TOKENS = 300
TEMPERATURE, SEED = 0.8, 0
NUM_CONTEXTS = 8
LIKELIEST = 5
MAX_CONTEXT = 60
"""Longer contexts are shown by their last characters; the network reads all of them."""
NO_BREAK = "\N{NO-BREAK SPACE}"
SPACES = {" ": "␣", "\n": "↵"}


def language_section(run: RunWithData) -> Section | None:
    """Returns a sampled text and the likeliest next symbols; None if the run is not a language model."""
    network = network_of(run)
    if network is None or run.outputs is None or not isinstance(run.dataset.reader, LanguageReader):
        return None
    parts = [*_sampled(run, network), _next_symbols(network, run.dataset.reader)]
    return Section("language", "The language model", parts)


def _sampled(run: RunWithData, network: Network) -> list[Part]:
    if not isinstance(network.module, RecurrentNet):
        return [Text("There is no sampled text: only recurrent networks (rnn, lstm, gru) continue a text.")]
    text = continue_text(load(run.folder), "", length=SAMPLED_TOKENS, temperature=TEMPERATURE, seed=SEED).text
    settings = f"--length {SAMPLED_TOKENS} --temperature {TEMPERATURE} --seed {SEED}"
    explained = (
        f"A text that the network writes, {SAMPLED_TOKENS} tokens at temperature {TEMPERATURE} with seed {SEED}: "
        f'nnzoo predict {run.folder.name} --text "" {settings}'
    )
    return [Text(explained), Text(text, code=True)]


def _next_symbols(network: Network, reader: LanguageReader) -> TableOf:
    """Returns the probabilities of the likeliest next symbols after the beginnings of evenly spaced samples."""
    split, classes = network.split, network.dataset.classes
    count = min(NUM_CONTEXTS, len(split))
    rows: list[list[Cell]] = []
    for i in range(count):
        index = torch.tensor([round(i * (len(split) - 1) / max(1, count - 1))])
        lengths = network.lengths(split, index)
        inputs, targets = network.inputs(split, index), split.targets[index][0].cpu()
        valid = int(lengths[0]) if lengths is not None else len(targets)
        # The contexts have different lengths; the first one is the shortest.
        step = min(valid - 1, round(valid * (i + 0.5) / count))
        outputs = network.outputs(inputs, lengths)[0, step]
        shares = network.decoder.probabilities(outputs).double()
        true = int(targets[step])
        likeliest = shares.topk(min(LIKELIEST, len(classes)))
        cells: list[Cell] = [
            f"{_shown(classes[j])}{NO_BREAK}{share:.3f}"
            for share, j in zip(likeliest.values.tolist(), likeliest.indices.tolist(), strict=True)
        ]
        context = tokens_text(inputs[0, : step + 1].cpu(), reader, None)
        rows.append([_last(context), f"{_shown(classes[true])}{NO_BREAK}{shares[true]:.3f}", *cells])
    positions = ("likeliest", "second", "third", "fourth", "fifth")[: min(LIKELIEST, len(classes))]
    caption = (
        f"The probabilities of the next symbol after contexts from the {network.run.split} split. The network has seen "
        "only the context. ␣ is a space, ↵ a line end."
    )
    return TableOf("Likeliest next symbols", caption, ["context", "actual next", *positions], rows)


def _last(context: str) -> str:
    if not context:
        return "(start of a line)"
    last = context if len(context) <= MAX_CONTEXT else f"…{context[1 - MAX_CONTEXT :]}"
    return (last[:-1] + SPACES.get(last[-1], last[-1])).replace("\n", SPACES["\n"])


def _shown(symbol: str) -> str:
    """Returns a symbol with spaces and line ends made visible."""
    return SPACES.get(symbol, repr(symbol)) if symbol.isspace() else symbol[:40]
