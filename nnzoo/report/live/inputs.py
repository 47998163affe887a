"""Describes the raw input of a network for the JavaScript of the page, with some samples to start from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnzoo.data import CsvReader, LanguageReader, SeriesReader, TextReader, reader_of
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.forms import TEXT
from nnzoo.data.tables.numbers import PLAIN
from nnzoo.report.inside.network import Network
from nnzoo.report.live.encoding import encoded
from nnzoo.report.live.formats import (
    OTHER,
    UnsupportedInputError,
    category_form,
    cells_of,
    column_format,
    number_form,
    number_text,
    plain_column,
)
from nnzoo.report.live.ink import ink_of
from nnzoo.report.samples import Samples, tokens_text

NUM_SAMPLES = 10
MAX_SAMPLE_BYTES = 200_000
"""The largest total size of the samples, unless a single one is larger."""
MAX_MEASURED = 200
"""The number of training images whose strokes are measured."""
MAX_TEXT = 20_000
MAX_CELLS = 2_000
"""The largest number of cells of a sequence that can be edited."""


def input_of(network: Network) -> dict[str, Any]:
    """Returns the description of the raw input, as the READERS of the page read it.

    Raises:
        UnsupportedInputError: The page has no controls for such an input.
    """
    dataset = network.dataset
    reader = reader_of(dataset)
    if dataset.layout == "tree":
        raise UnsupportedInputError("it reads trees, for which the page has no controls")
    if dataset.layout == "image":
        return _image(network)
    if dataset.layout == "tokens":
        return _text(network, reader)
    if isinstance(reader, CsvReader):
        columns = [column_format(column) for column in reader.columns]
        found = _table(columns, reader.words)
    elif isinstance(reader, SeriesReader):
        found = {**_table(_series_columns(reader), reader.words), "isSeries": True}
    else:
        width = dataset.input_shape[-1]
        names = dataset.feature_names or tuple(f"input {number}" for number in range(width))
        found = _table([plain_column(name) for name in names], TableOptions())
    if dataset.layout == "sequence":
        found["steps"] = dataset.input_shape[0]
        if found["steps"] * len(found["columns"]) > MAX_CELLS:
            shape = f"{found['steps']} steps x {len(found['columns'])} columns"
            raise UnsupportedInputError(f"a sequence of {shape} has too many values to be edited (at most {MAX_CELLS})")
    _add_ranges(found["columns"], network)
    return found


def _table(columns: list[dict[str, Any]], options: TableOptions) -> dict[str, Any]:
    return {
        "kind": "table",
        "columns": columns,
        "steps": 0,
        "isSeries": False,
        "strip": options.strip,
        "missing": options.missing,
        "replace": list(options.replace.items()),
        "plain": number_form(PLAIN),
        "other": OTHER,
    }


def _series_columns(reader: SeriesReader) -> list[dict[str, Any]]:
    numbers = [
        {
            **plain_column(name),
            **({"form": number_form(reader.forms[name])} if name in reader.forms else {}),
            "required": False,
        }
        for name in reader.features
    ]
    categories = [
        {
            "kind": "category",
            "name": name,
            "indicator": False,
            "categories": found,
            "other": False,
            "form": category_form(reader.category_forms.get(name, TEXT)),
        }
        for name, found in zip(reader.categorical, reader.categories, strict=True)
    ]
    return [*numbers, *categories]


def _add_ranges(columns: list[dict[str, Any]], network: Network) -> None:
    """Adds the range of the training rows to columns of numbers, for their sliders."""
    raw = network.run.raw_inputs("train")
    if raw is None:
        return
    values = torch.as_tensor(raw[:5000]).double()
    values = values.reshape(-1, values.shape[-1])
    low, high = values.amin(0).tolist(), values.amax(0).tolist()
    whole = (values == values.round()).all(0).tolist()
    start = 0
    for column in columns:
        if column["kind"] == "number":
            column |= {"low": low[start], "high": high[start], "whole": whole[start]}
        start += _num_features(column)


def _num_features(column: dict[str, Any]) -> int:
    own = {
        "category": len(column.get("categories", ())) + bool(column.get("other")),
        "date": len(column.get("parts", ())),
    }
    return own.get(column["kind"], 1) + bool(column["indicator"])


def _text(network: Network, reader: Any) -> dict[str, Any]:
    dataset = network.dataset
    is_language = isinstance(reader, LanguageReader)
    found: dict[str, Any] = {
        "kind": "text",
        "tokenizer": "numbers",
        "lowercase": False,
        "symbols": (),
        "maxLength": dataset.input_shape[0],
        "largest": dataset.num_tokens - 1,
        "isLanguage": is_language,
        "byLine": is_language and reader.by_line,
    }
    if isinstance(reader, LanguageReader | TextReader):
        vocabulary = reader.vocabulary
        found |= {
            "tokenizer": vocabulary.tokenizer,
            "lowercase": vocabulary.lowercase,
            "symbols": vocabulary.symbols,
            "maxLength": None if is_language else dataset.input_shape[0],
        }
    if sum(map(len, found["symbols"])) > 40 * MAX_TEXT:
        raise UnsupportedInputError("the vocabulary is too large for the page")
    return found


def _image(network: Network) -> dict[str, Any]:
    dataset = network.dataset
    channels = dataset.input_shape[0]
    found: dict[str, Any] = {
        "kind": "image",
        "shape": dataset.input_shape,
        "bytes": dataset.train.inputs.dtype == torch.uint8,
        "low": 0.0,
        "high": 255.0 if dataset.train.inputs.dtype == torch.uint8 else 1.0,
        "ink": None,
        "drawable": channels in (1, 3),
    }
    raw = network.run.raw_inputs("train")
    if raw is None or not len(raw):
        return found
    rows = np.linspace(0, len(raw) - 1, min(MAX_MEASURED, len(raw)), dtype=np.int64)
    images = torch.stack([torch.as_tensor(raw[int(row)]) for row in rows]).double().numpy()
    low, high = float(images.min()), float(images.max())
    if not found["bytes"] and not (low >= 0 and 0.5 < high <= 1):
        found |= {"low": low, "high": high}
    return {**found, "ink": ink_of(images)}


def samples_of(network: Network, description: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns samples of the measured split as the controls show them, with their true answer in the label."""
    samples = Samples(network.run, network.run.split)
    raw = network.run.raw_inputs(network.run.split)
    if raw is None:
        return []
    count = min(NUM_SAMPLES, len(samples.part))
    size = samples.dataset.train.inputs[:1].numel()  # characters or bytes of a sample
    if description["kind"] != "text":
        size *= 16 if description["kind"] == "table" else 1 if description["bytes"] else 4
        count = min(count, max(1, MAX_SAMPLE_BYTES // size))
    rows = np.linspace(0, len(samples.part) - 1, count, dtype=np.int64).tolist() if count else []
    found = []
    for row in rows:
        length = None if samples.part.lengths is None else int(samples.part.lengths[row])
        value = raw_sample(network, description, torch.as_tensor(raw[row : row + 1])[0], length)
        found.append({"label": f"{samples.place(row) or f'sample {row}'}{_truth(network, row)}", "raw": value})
    return found


def raw_sample(network: Network, description: dict[str, Any], values: Tensor, length: int | None) -> Any:
    """Returns a sample as a person would enter it: cells, a text, or the encoded values of an image.

    Args:
        network: The network.
        description: The description of the input.
        values: The raw inputs of the sample.
        length: The number of its valid steps; None if all are valid.
    """
    if description["kind"] == "image":
        return encoded(values.numpy().astype(np.uint8 if description["bytes"] else np.float32))
    if description["kind"] == "text":
        if description["tokenizer"] == "numbers":
            return " ".join(map(str, values[: length or len(values)].tolist()))
        return tokens_text(values, reader_of(network.dataset), length)[:MAX_TEXT]
    if description["steps"]:
        return [_row_cells(network, step) for step in values[: length or len(values)].tolist()]
    return _row_cells(network, values.tolist())


def _row_cells(network: Network, features: list[float]) -> list[str]:
    """Returns the cells of a table row, or of a step of a sequence."""
    reader = reader_of(network.dataset)
    if isinstance(reader, CsvReader):
        return cells_of(reader.columns, features)
    if isinstance(reader, SeriesReader):
        width = len(reader.features)
        pairs = zip(reader.features, features, strict=False)
        cells = [number_text(value, reader.forms.get(name, PLAIN)) for name, value in pairs]
        for categories in reader.categories:
            own = features[width : width + len(categories)]
            width += len(categories)
            cells.append(next((name for name, value in zip(categories, own, strict=True) if value), OTHER))
        return cells
    return [number_text(value) for value in features]


def _truth(network: Network, row: int) -> str:
    """Returns the true answer of a sample for its label; empty if there are several."""
    dataset = network.dataset
    if dataset.per != "sample":
        return ""
    target = dataset.splits[network.run.split].targets[row]
    if dataset.task == "regression":
        return f" (true: {', '.join(f'{value:.6g}' for value in target.flatten()[:4].tolist())})"
    if dataset.task == "multilabel":
        return f" (true: {', '.join(dataset.classes[i][:40] for i in target.nonzero()[:, 0].tolist()) or 'none'})"
    return f" (true: {dataset.classes[int(target.argmax() if target.ndim else target)][:60]})"
