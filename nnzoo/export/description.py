"""The description of an exported network as JSON: what a program needs that is not part of the graph."""

from __future__ import annotations

from typing import Any

from nnzoo.data import LanguageReader, TextReader
from nnzoo.data.language import START
from nnzoo.data.vocabulary import NUM_SPECIAL, UNKNOWN, WORD, Vocabulary
from nnzoo.experiment.load import TrainedModel
from nnzoo.export.served import Interface

VERSION = 1


def description(trained: TrainedModel, interface: Interface) -> dict[str, Any]:
    """Returns the inputs, the outputs and their names, and the metrics of the network.

    Args:
        trained: The network.
        interface: The inputs and outputs of the exported network.
    """
    metadata = trained.metadata
    steps: list[Any] = ["T"] if interface.any_length else []
    inputs: dict[str, Any] = {
        "name": interface.input_names[0],
        "layout": metadata.layout,
        "dtype": str(interface.dtype).removeprefix("torch."),
        "shape": ["N", *steps, *interface.shape[len(steps) :]],
    }
    if interface.has_lengths:
        inputs["lengths"] = interface.input_names[1]
    if metadata.layout in ("sequence", "tokens") and metadata.per == "sample":
        inputs["steps"] = metadata.input_shape[0]
    if interface.columns is not None:
        inputs["columns"] = interface.columns.described
    elif metadata.feature_names:
        inputs["columns"] = [{"name": name, "type": "number"} for name in metadata.feature_names]
    if metadata.num_tokens:
        inputs["tokens"] = _tokens(trained)
    return {
        "format": "nnzoo",
        "version": VERSION,
        "model": trained.config.model.name,
        "task": metadata.task,
        "per": metadata.per,
        "input": inputs,
        "output": {
            "scores": interface.scores,
            "labels": interface.labels,
            "names": list(metadata.target_names if metadata.task == "regression" else metadata.classes),
        },
        "metrics": metadata.metrics,
        "versions": metadata.versions,
    }


def _tokens(trained: TrainedModel) -> dict[str, Any]:
    """Returns how texts are converted to tokens; only the number of tokens, if the data was not text."""
    reader = trained.reader
    found: dict[str, Any] = {"count": trained.metadata.num_tokens}
    if not isinstance(reader, TextReader | LanguageReader):
        return found
    vocabulary: Vocabulary = reader.vocabulary
    found |= {
        "pattern": WORD.pattern if vocabulary.tokenizer == "word" else r"[\s\S]",
        "lowercase": vocabulary.lowercase,
        "unknown": UNKNOWN,
        "first": NUM_SPECIAL,
        "symbols": list(vocabulary.symbols),
        "start": [START] if isinstance(reader, LanguageReader) and reader.by_line else [],
    }
    return found
