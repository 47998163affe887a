"""Matching the inputs and outputs of a checkpoint with those of other data, by name."""

from __future__ import annotations

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


class Side(NamedTuple):
    """What the names of inputs and outputs follow from, of a checkpoint or of new data.

    Attributes:
        schema: What samples are like.
        reader: How raw data is read.
        projected: Whether the network sees principal components.
    """

    schema: Schema
    reader: Reader
    projected: bool

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens of texts; None where tokens are just integers, or inputs are not tokens."""
        return self.reader.vocabulary if isinstance(self.reader, TextReader | LanguageReader | TreeReader) else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: features or tokens. Empty where there are none."""
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
        """Names of the regression targets, classes or labels."""
        if self.schema.task == "regression":
            return self.schema.target_names
        is_plain = self.schema.task == "multilabel" or isinstance(self.reader, LanguageReader)
        return self.schema.classes if is_plain else label_keys(self.schema.classes)


@dataclass(frozen=True)
class Match:
    """Says which entry of the checkpoint each entry of the new network takes.

    Attributes:
        there: Names in the checkpoint.
        here: Names in the new data.
        kind: What the names are of: input, token or output.
    """

    there: tuple[str, ...]
    here: tuple[str, ...]
    kind: str

    @property
    def sources(self) -> Tensor:
        """(len(here),) int64, the index in the checkpoint of each name; -1 where the name is new."""
        index = {name: number for number, name in enumerate(self.there)}
        return torch.tensor([index.get(name, -1) for name in self.here], dtype=torch.int64)

    @property
    def new(self) -> list[str]:
        """Names that the checkpoint does not have."""
        known = set(self.there)
        return [name for name in self.here if name not in known]

    @property
    def gone(self) -> list[str]:
        """Names that only the checkpoint has."""
        known = set(self.here)
        return [name for name in self.there if name not in known]

    @property
    def num_matched(self) -> int:
        """Names that both have."""
        return len(self.here) - len(self.new)

    def along(self, size_there: int, size_here: int, *, fastest: bool = True) -> Tensor | None:
        """Returns the sources of an axis that has one or several entries per name.

        Args:
            size_there: Of the axis in the checkpoint.
            size_here: Of the axis in the new network.
            fastest: Whether neighbouring entries belong to different names.

        Returns:
            (size_here,) indices along the axis of the checkpoint, -1 for new ones; None if the number of entries per
            name is not a whole one, or differs.
        """
        repeats, rest = divmod(size_here, len(self.here))
        if rest or divmod(size_there, len(self.there)) != (repeats, 0):
            return None
        sources = self.sources
        each = torch.arange(repeats)
        if fastest:
            found = sources + each.unsqueeze(1) * len(self.there)  # (repeats, names)
            new = (sources < 0).expand_as(found)
        else:
            found = sources.unsqueeze(1) * repeats + each  # (names, repeats)
            new = (sources < 0).unsqueeze(1).expand_as(found)
        return found.masked_fill(new, -1).flatten()

    def told(self) -> str:
        """Returns how many names were matched; empty if both have the same names in the same order."""
        if self.there == self.here:
            return ""
        if not self.new and not self.gone:
            return f"{_count(self.here, self.kind)} in another order, matched by name"
        return f"{self.num_matched} of {_count(self.here, self.kind)} matched by name"

    def changes(self) -> list[str]:
        """Returns one line for the names that are new, and one for those that are gone."""
        told = []
        if self.new:
            told.append(
                f"{_count(self.new, self.kind)} not in the checkpoint, initialized as `init` says: {listed(self.new)}"
            )
        if self.gone:
            told.append(
                f"{_count(self.gone, self.kind)} of the checkpoint not in this data, left out: {listed(self.gone)}"
            )
        return told


def _count(names: Sequence[str], kind: str) -> str:
    return f"{len(names)} {kind}{'' if len(names) == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Returns the first names in quotes, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more


def fitted(own: Tensor, other: Tensor, sources: Mapping[int, Tensor]) -> Tensor | None:
    """Fills a new tensor with the matching entries of a checkpoint's tensor.

    Args:
        own: As it was initialized.
        other: Of the checkpoint.
        sources: For some axes the index in `other` of each entry of `own`; -1 where `own` keeps its value.

    Returns:
        A tensor of the shape of `own`; None if the other axes differ in size.
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


def match_inputs(there: Side, here: Side, *, can_match: bool) -> tuple[Match | None, str]:
    """Matches the inputs of a checkpoint with those of new data.

    Args:
        there: The checkpoint.
        here: The new data.
        can_match: Whether it is known which weights of the network read which input.

    Returns:
        The match, or None where inputs are taken by position; and how they were matched, empty where all is the same.

    Raises:
        MismatchError: The names differ and cannot be matched.
    """
    match = Match(there.inputs, here.inputs, "token" if here.schema.layout in ("tokens", "tree") else "input")
    if match.there == match.here:
        return None, ""
    if not match.there or not match.here:
        side = "the checkpoint" if not match.there else "this data"
        return None, f"inputs by position, since {side} has no names for them"
    if there.vocabulary and here.vocabulary and there.vocabulary.tokenizer != here.vocabulary.tokenizer:
        kinds = (each.vocabulary.tokenizer for each in (here, there) if each.vocabulary)
        raise MismatchError("its tokens are of another kind (got {}, there {}). Set `data.tokenizer`.".format(*kinds))
    if there.projected or here.projected:
        if there.projected and here.projected and not match.new and not match.gone:
            return None, "inputs by position, as principal components"
        raise MismatchError(
            f"its inputs {_differ(match)}, and principal components of other inputs cannot be matched by name. "
            "Set `preprocess.pca: null` for both, or use the same columns."
        )
    if not can_match:
        raise MismatchError(
            f"its inputs {_differ(match)}, and in this network they cannot be matched by name. Use the same columns in "
            "the same order."
        )
    if len(match.there) == len(match.here) == 1:
        return None, f"its only input {match.there[0]!r} as {match.here[0]!r}"
    if not match.num_matched:
        raise MismatchError(
            f"none of its {len(match.there)} inputs ({listed(match.there)}) is an input of this data "
            f"({listed(match.here)}). Weights are matched by name: rename the columns, or train without `pretrained`."
        )
    return match, match.told()


def _differ(match: Match) -> str:
    if not match.new and not match.gone:
        return "are in another order than those of this data"
    return f"differ from those of this data ({listed([*match.gone, *match.new])})"


def match_outputs(there: Side, here: Side | None) -> tuple[Match | None, str]:
    """Matches the outputs of a checkpoint with those of new data.

    Returns:
        The match, or None where the last layer stays as initialized; and why it does, empty otherwise.
    """
    if here is None:
        return None, "the data is not known"
    if there.schema.task != here.schema.task:
        return None, f"the checkpoint is for {there.schema.task}, this data for {here.schema.task}"
    match = Match(there.outputs, here.outputs, "output")
    if match.there != match.here and not match.num_matched:
        return None, "the targets differ" if here.schema.task == "regression" else "the classes differ"
    return match, ""


def describe_differences(before: Side, now: Side) -> str:
    """Returns what became of the names of inputs and outputs, in full sentences; empty if they are the same."""
    told = []
    for kind in ("inputs", "outputs"):
        there, here = getattr(before, kind), getattr(now, kind)
        if set(there) == set(here) and there != here:
            told.append(f"Its {kind} are in another order (now {listed(here)}; before {listed(there)}).")
        for word, names in (("New", set(here) - set(there)), ("Missing", set(there) - set(here))):
            if names:
                told.append(f"{word} {kind}: {listed(sorted(names))}.")
    return " ".join(told)
