"""Matches the inputs and outputs of a checkpoint with those of new data, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from nnzoo.data import CsvReader, LanguageReader, Reader, Schema, TextReader, TreeReader
from nnzoo.data.tables.forms import label_keys
from nnzoo.data.vocabulary import Vocabulary

_SHOWN = 5


class MismatchError(Exception):
    """The inputs of a checkpoint cannot be matched with those of the new data."""


class Signature(NamedTuple):
    """The inputs and outputs of a checkpoint or of new data.

    Attributes:
        schema: The schema of samples.
        reader: The reader of raw data.
        projected: Whether the inputs of the network are principal components.
    """

    schema: Schema
    reader: Reader
    projected: bool

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The vocabulary of texts; None if tokens are integers or inputs are not tokens."""
        return self.reader.vocabulary if isinstance(self.reader, TextReader | LanguageReader | TreeReader) else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs (features or tokens); empty if they have no unique names."""
        schema = self.schema
        if schema.layout not in ("tokens", "tree"):
            names = self.reader.feature_keys if isinstance(self.reader, CsvReader) else schema.feature_names
        elif self.vocabulary is not None:
            names = self.vocabulary.names
        else:
            names = tuple(map(str, range(schema.num_tokens)))
        return names if len(set(names)) == len(names) else ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the regression targets, classes or labels."""
        if self.schema.task == "regression":
            return self.schema.target_names
        is_plain = self.schema.task == "multilabel" or isinstance(self.reader, LanguageReader)
        return self.schema.classes if is_plain else label_keys(self.schema.classes)


@dataclass(frozen=True)
class Match:
    """Maps the names of new data to those of a checkpoint.

    Attributes:
        checkpoint_names: The names in the checkpoint.
        data_names: The names in the new data.
        kind: The kind of the names: input, token or output.
    """

    checkpoint_names: tuple[str, ...]
    data_names: tuple[str, ...]
    kind: str

    @property
    def sources(self) -> Tensor:
        """The index of each new name in the checkpoint, (len(data_names),) int64; -1 if it does not occur there."""
        index = {name: number for number, name in enumerate(self.checkpoint_names)}
        return torch.tensor([index.get(name, -1) for name in self.data_names], dtype=torch.int64)

    @property
    def new(self) -> list[str]:
        """The names that occur only in the new data."""
        known = set(self.checkpoint_names)
        return [name for name in self.data_names if name not in known]

    @property
    def missing(self) -> list[str]:
        """The names that occur only in the checkpoint."""
        known = set(self.data_names)
        return [name for name in self.checkpoint_names if name not in known]

    @property
    def num_matched(self) -> int:
        """The number of names that occur in both."""
        return len(self.data_names) - len(self.new)

    def indices_along(self, checkpoint_size: int, size: int, *, fastest: bool = True) -> Tensor | None:
        """Returns the source indices along an axis that has one or several entries per name.

        Args:
            checkpoint_size: The size of the axis in the checkpoint.
            size: The size of the axis in the new network.
            fastest: Whether neighbouring entries belong to different names (True) or to the same name.

        Returns:
            (size,) indices along the axis of the checkpoint, -1 for new names; None if the number of entries per name
            is not an integer, or differs between the two axes.
        """
        repeats, rest = divmod(size, len(self.data_names))
        if rest or divmod(checkpoint_size, len(self.checkpoint_names)) != (repeats, 0):
            return None
        sources = self.sources
        each = torch.arange(repeats)
        if fastest:
            indices = sources + each.unsqueeze(1) * len(self.checkpoint_names)  # (repeats, names)
            new = (sources < 0).expand_as(indices)
        else:
            indices = sources.unsqueeze(1) * repeats + each  # (names, repeats)
            new = (sources < 0).unsqueeze(1).expand_as(indices)
        return indices.masked_fill(new, -1).flatten()

    def indices_of_entries(self, checkpoint_inputs: Sequence[int], inputs: Sequence[int]) -> Tensor:
        """Returns the source indices along an axis with different numbers of entries per name.

        Args:
            checkpoint_inputs: The index of the name of each entry in the checkpoint.
            inputs: The same in the new network.

        Returns:
            (len(inputs),) indices along the axis of the checkpoint, -1 for entries that it does not have.
        """
        places: dict[int, list[int]] = {}
        for place, name in enumerate(checkpoint_inputs):
            places.setdefault(name, []).append(place)
        sources, seen, found = self.sources.tolist(), Counter[int](), []
        for name in inputs:
            known = places.get(sources[name], [])
            found.append(known[seen[name]] if seen[name] < len(known) else -1)
            seen[name] += 1
        return torch.tensor(found, dtype=torch.int64)

    def describe(self) -> str:
        """Returns how many names were matched; empty if both have the same names in the same order."""
        if self.checkpoint_names == self.data_names:
            return ""
        if not self.new and not self.missing:
            return f"{_count(self.data_names, self.kind)} in a different order, matched by name"
        return f"{self.num_matched} of {_count(self.data_names, self.kind)} matched by name"

    def changes(self) -> list[str]:
        """Returns one line about new names, and one about missing names."""
        lines = []
        if self.new:
            lines.append(
                f"{_count(self.new, self.kind)} not in the checkpoint, initialized by `init`: {listed(self.new)}"
            )
        if self.missing:
            lines.append(
                f"{_count(self.missing, self.kind)} of the checkpoint not in this data, dropped: {listed(self.missing)}"
            )
        return lines


def _count(names: Sequence[str], kind: str) -> str:
    return f"{len(names)} {kind}{'' if len(names) == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Returns the first names in quotes, and the number of the others."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more


def fit_tensor(own: Tensor, other: Tensor, sources: Mapping[int, Tensor]) -> Tensor | None:
    """Fills a new tensor with the matching entries of a checkpoint's tensor.

    Args:
        own: The initialized tensor.
        other: The tensor from the checkpoint.
        sources: For some axes, the index in `other` of each entry of `own`; -1 for entries that keep their value.

    Returns:
        A tensor with the shape of `own`; None if the tensors differ in size along the other axes.
    """
    if own.ndim != other.ndim:
        return None
    for axis, size in enumerate(own.shape):
        fits = int(sources[axis].max()) < other.shape[axis] if axis in sources else size == other.shape[axis]
        if not fits:
            return None
    if not sources:
        return other
    places = []
    for axis, size in enumerate(own.shape):
        source = sources.get(axis, torch.arange(size))
        places.append((source >= 0).nonzero().flatten())
        other = other.index_select(axis, source[source >= 0])
    filled = own.clone()
    filled[torch.meshgrid(*places, indexing="ij")] = other.to(own.dtype)
    return filled


def match_inputs(checkpoint: Signature, data: Signature, *, can_match: bool) -> tuple[Match | None, str]:
    """Matches the inputs of a checkpoint with those of new data.

    Args:
        checkpoint: The signature of the checkpoint.
        data: The signature of the new data.
        can_match: Whether the network defines which of its weights belong to which input.

    Returns:
        The match, or None if inputs are matched by position; and a description of it, empty if the inputs are the same.

    Raises:
        MismatchError: The names differ and cannot be matched.
    """
    match = Match(checkpoint.inputs, data.inputs, "token" if data.schema.layout in ("tokens", "tree") else "input")
    if match.checkpoint_names == match.data_names:
        return None, ""
    if not match.checkpoint_names or not match.data_names:
        side = "the checkpoint" if not match.checkpoint_names else "this data"
        return None, f"inputs by position, since {side} does not name them"
    if checkpoint.vocabulary and data.vocabulary and checkpoint.vocabulary.tokenizer != data.vocabulary.tokenizer:
        kinds = (each.vocabulary.tokenizer for each in (data, checkpoint) if each.vocabulary)
        raise MismatchError(
            "its tokens are of a different kind (got {}, the checkpoint has {}). Set `data.tokenizer`.".format(*kinds)
        )
    if checkpoint.projected or data.projected:
        if checkpoint.projected and data.projected and not match.new and not match.missing:
            return None, "inputs by position, as principal components"
        raise MismatchError(
            f"its inputs {_differ(match)}, and principal components of different inputs cannot be matched by name. "
            "Set `preprocess.pca: null` for both, or use the same columns."
        )
    if not can_match:
        raise MismatchError(
            f"its inputs {_differ(match)}, and this network cannot match them by name. Use the same columns in the "
            "same order."
        )
    if len(match.checkpoint_names) == len(match.data_names) == 1:
        return None, f"its only input {match.checkpoint_names[0]!r} as {match.data_names[0]!r}"
    if not match.num_matched:
        raise MismatchError(
            f"none of its {len(match.checkpoint_names)} inputs ({listed(match.checkpoint_names)}) is an input of this "
            f"data ({listed(match.data_names)}). Weights are matched by name: rename the columns, or train without "
            "`pretrained`."
        )
    return match, match.describe()


def _differ(match: Match) -> str:
    if not match.new and not match.missing:
        return "are in a different order than those of this data"
    return f"differ from those of this data ({listed([*match.missing, *match.new])})"


def match_outputs(checkpoint: Signature, data: Signature | None) -> tuple[Match | None, str]:
    """Matches the outputs of a checkpoint with those of new data.

    Returns:
        The match, or None if the last layer keeps its initial values; and the reason for None, else an empty string.
    """
    if data is None:
        return None, "the data is not known"
    if checkpoint.schema.task != data.schema.task:
        return None, f"the checkpoint is for {checkpoint.schema.task}, this data for {data.schema.task}"
    match = Match(checkpoint.outputs, data.outputs, "output")
    if match.checkpoint_names != match.data_names and not match.num_matched:
        return None, "the targets differ" if data.schema.task == "regression" else "the classes differ"
    return match, ""


def describe_differences(before: Signature, now: Signature) -> str:
    """Describes how the names of inputs and outputs differ, in full sentences; empty if they are the same."""
    sentences = []
    for kind in ("inputs", "outputs"):
        old, new = getattr(before, kind), getattr(now, kind)
        if set(old) == set(new) and old != new:
            sentences.append(f"Its {kind} are in a different order (now {listed(new)}; before {listed(old)}).")
        for word, names in (("New", set(new) - set(old)), ("Missing", set(old) - set(new))):
            if names:
                sentences.append(f"{word} {kind}: {listed(sorted(names))}.")
    return " ".join(sentences)
