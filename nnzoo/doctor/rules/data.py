"""The scales, the labels and the distributions of the data, and what its reader leaves out."""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor

from nnzoo.builders import frozen_epochs
from nnzoo.config import data as data_config
from nnzoo.data import OnDisk
from nnzoo.data.vocabulary import UNKNOWN
from nnzoo.doctor import distributions, labels, remedies
from nnzoo.doctor.evidence import LOST, Evidence
from nnzoo.doctor.finding import MAX_NAMED, Finding
from nnzoo.experiment.whitening import WHITENED, whitening_of
from nnzoo.numbers import number

SCALE_RATIO = 100
"""If the ratio of two columns' standard deviations is larger, gradient descent hardly uses the smaller one."""
LARGE_INPUT, LARGE_TARGET = 30, 10
"""Inputs and targets beyond this are large for the usual initializers and learning rates."""
HARMLESS = 0.03
"""A change that regains less than this share of the possible gain is not needed."""
UNKNOWN_SHARE, CUT_SHARE = 0.1, 0.05
SMALL_IMAGE = 16


def unscaled_columns(evidence: Evidence) -> Finding | None:
    """Columns have very different or very large scales after preprocessing."""
    inputs = evidence.examined.splits["train"].inputs
    if isinstance(inputs, OnDisk) or inputs.ndim not in (2, 3) or not inputs.is_floating_point():
        return None
    problem = _scales(evidence, inputs)
    if not problem:
        return None
    fix = (
        evidence.fix(("preprocess.normalize=standardize",))
        if evidence.config.preprocess.normalize != "standardize"
        else ()
    )
    lost = evidence.lost(*fix)
    harmless = evidence.can_try and fix and lost < HARMLESS
    outcome = evidence.trial(*fix) if fix and lost >= LOST else None
    reached = f" With it, {evidence.reached(outcome)}." if outcome is not None else ""
    return Finding(
        "note" if harmless else "warning",
        "unscaled columns",
        f"{problem} Set preprocess: {{normalize: standardize}}.{reached}",
        fix=fix,
        confidence="certain" if lost >= LOST else "likely",
        gain=evidence.gained(*fix),
    )


def _scales(evidence: Evidence, inputs: Tensor) -> str:
    dataset = evidence.dataset
    names = dataset.feature_names or tuple(map(str, range(inputs.shape[-1])))
    columns = inputs.flatten(0, -2).T
    if len(columns) == len(names):
        # Features that are 0 or 1 are not normalized: a rare category has a small standard deviation.
        binary = {each for start, stop in dataset.one_hot for each in range(start, stop)}
        kept = [each for each in range(len(names)) if each not in binary]
        if not kept:
            return ""
        names, columns = tuple(names[each] for each in kept), columns[kept]
    spreads = torch.stack([column.double().std(correction=0) for column in columns]).cpu()
    centers = torch.stack([column.double().mean() for column in columns]).abs().cpu()
    varying = spreads[spreads > 0]
    if len(spreads) != len(names) or not len(varying):
        return ""
    low, high = int(torch.where(spreads > 0, spreads, torch.inf).argmin()), int(spreads.argmax())
    if len(varying) > 1 and float(varying.max() / varying.min()) > SCALE_RATIO:
        return (
            f"{names[high]} has a standard deviation of {float(spreads[high]):.3g} and {names[low]} one of "
            f"{float(spreads[low]):.3g} after preprocessing, so the network hardly sees {names[low]}."
        )
    sizes = torch.maximum(spreads, centers)
    largest = int(sizes.argmax())
    if float(sizes[largest]) > LARGE_INPUT:
        return (
            f"{names[largest]} has a mean of {float(columns[largest].double().mean()):.3g} and a standard deviation of "
            f"{float(spreads[largest]):.3g} after preprocessing, but networks expect inputs of about -1 to 1."
        )
    return ""


def constant_columns(evidence: Evidence) -> Finding | None:
    """Columns have one value."""
    dataset = evidence.examined.dataset
    raw = dataset.train.inputs
    if isinstance(raw, OnDisk) or raw.is_meta or raw.ndim != 2 or not raw.is_floating_point():
        return None
    names = dataset.feature_names or tuple(map(str, range(raw.shape[1])))
    constant = [name for name, same in zip(names, (raw.amax(0) == raw.amin(0)).tolist(), strict=True) if same]
    if not constant:
        return None
    shown = ", ".join(constant[:MAX_NAMED])
    message = f"{len(constant)} columns are constant in train: {shown}."
    return Finding("note" if evidence.is_run else "warning", "constant columns", message, confidence="certain")


def unscaled_target(evidence: Evidence) -> Finding | None:
    """The regression target has a large mean or standard deviation."""
    targets = evidence.experiment.splits["train"].targets
    if evidence.dataset.task != "regression" or evidence.config.preprocess.scale_target is True or len(targets) < 2:
        return None
    spread, center = targets.double().std(0, correction=0).max(), targets.double().mean(0).abs().max()
    if not (float(spread) > LARGE_TARGET or float(center) > LARGE_TARGET or 0 < float(spread) < 1 / SCALE_RATIO):
        return None
    fix = evidence.fix(("preprocess.scale_target=true",))
    lost = evidence.lost(*fix)
    outcome = evidence.trial(*fix) if fix else None
    harmless = outcome is not None and lost < LOST
    reached = f" With it, {evidence.reached(outcome)}." if outcome is not None and not harmless else ""
    return Finding(
        "note" if harmless else "warning",
        "unscaled target",
        f"the target has a mean of {number(float(targets.double().mean()))} and a standard deviation of "
        f"{number(float(spread))}, but an untrained network predicts about 0 with a spread of about 1: it spends its "
        f"steps on reaching the scale. Set preprocess: {{scale_target: true}}.{reached}",
        fix=fix,
        confidence="certain" if lost >= LOST else "likely",
        gain=evidence.gained(*fix),
    )


def label_noise(evidence: Evidence) -> Finding | None:
    """Many labels contradict those of similar samples, also where the classes are far apart."""
    found = labels.noise(evidence.examined)
    if found is None:
        return None
    return Finding(
        "warning",
        "label noise",
        f"about {found.share:.0%} of the labels seem to be wrong: a model that was fitted to other samples has an "
        f"accuracy of {found.accuracy:.0%}, and disagrees with {found.sure:.0%} of the labels even where it is most "
        "certain. Check the labels; no change of the network can replace that.",
        found.samples,
        confidence="likely",
    )


def different_distributions(evidence: Evidence) -> Finding | None:
    """The samples of a split differ from those of train."""
    found = distributions.differences(evidence.examined)
    if not found:
        return None
    is_expected = evidence.config.data.name in ("series", "language")  # split in the order of time
    advice = (
        "The data changed over time. Include newer samples in train, or train again from time to time."
        if is_expected
        else "Split the rows at random (one file and data.split), or collect train samples like those of the other "
        "split."
    )
    return Finding(
        "note" if is_expected else "warning",
        "different distributions",
        f"{'; '.join(found)}. The network is measured on data that it was not trained for. {advice}",
        confidence="certain",
    )


def unknown_tokens(evidence: Evidence) -> Finding | None:
    """Many tokens are not in the vocabulary."""
    section, dataset = evidence.config.data, evidence.dataset
    if dataset.layout not in ("tokens", "tree") or getattr(dataset.reader, "vocabulary", None) is None:
        return None
    shares = {name: _unknown_share(evidence, name) for name in dataset.splits}
    worst = max(shares, key=lambda name: shares[name])
    if shares[worst] < UNKNOWN_SHARE:
        return None
    changes = ["data.vocab_size=null"] if getattr(section, "vocab_size", None) else []
    changes += ["data.min_count=1"] if getattr(section, "min_count", 1) > 1 else []
    fix = evidence.fix(changes)
    lost = evidence.lost(*fix)
    # Without a limit, unknown tokens are those that train does not have.
    if (evidence.can_try and fix and lost < LOST) or (not fix and shares[worst] < 4 * UNKNOWN_SHARE):
        return None
    outcome = evidence.trial(*fix) if fix else None
    reached = f" With the whole vocabulary, {evidence.reached(outcome)}." if outcome is not None else ""
    limits = " and ".join(
        f"{key} {getattr(section, key)}" for key in ("vocab_size", "min_count") if f"data.{key}" in str(changes)
    )
    why = f"because of {limits}" if limits else "since train does not contain them"
    return Finding(
        "warning",
        "unknown tokens",
        f"{shares[worst]:.0%} of the tokens of {worst} are unknown {why}, so the network can't tell them apart."
        f"{reached} {'Set ' + ' '.join(fix) if fix else 'Use more train texts, or tokenizer: char'}.",
        fix=fix,
        gain=evidence.gained(*fix),
    )


def _unknown_share(evidence: Evidence, name: str) -> float:
    split = evidence.experiment.splits[name]
    tokens = split.inputs[..., 0] if evidence.dataset.layout == "tree" else split.inputs
    if split.lengths is not None:
        steps = torch.arange(tokens.shape[1], device=tokens.device)
        tokens = tokens[steps < split.lengths.unsqueeze(1)]
    return float((tokens == UNKNOWN).double().mean())


_TRUNCATED = re.compile(r"(\d+) of (\d+) (\w+) texts are longer than (\d+) symbols")


def sequences_cut(evidence: Evidence) -> Finding | None:
    """Texts are longer than max_length."""
    found = [_TRUNCATED.search(text) for text in evidence.dataset.warnings]
    cut = [match for match in found if match]
    if not cut:
        return None
    match = max(cut, key=lambda each: int(each[1]) / int(each[2]))
    share = int(match[1]) / int(match[2])
    fix = evidence.fix(("data.max_length=null",)) if getattr(evidence.config.data, "max_length", None) else ()
    if share < CUT_SHARE or (evidence.can_try and evidence.lost(*fix) < LOST):
        return None
    outcome = evidence.trial(*fix) if fix else None
    reached = f" With whole texts, {evidence.reached(outcome)}." if outcome is not None else ""
    return Finding(
        "warning",
        "sequences cut",
        f"{match[1]} of {match[2]} {match[3]} texts are longer than {match[4]} tokens, and the rest of them is cut off."
        f"{reached} Raise data.max_length, or set it to null.",
        fix=fix,
        confidence="certain" if outcome is not None else "likely",
        gain=evidence.gained(*fix),
    )


def images_too_small(evidence: Evidence) -> Finding | None:
    """Images are reduced to a few pixels."""
    section, shape = evidence.config.data, evidence.dataset.input_shape
    if not isinstance(section, data_config.ImageFolder) or min(shape[-2:]) > SMALL_IMAGE or not evidence.can_try:
        return None
    fixes = [evidence.fix((remedies.override("data.size", size),)) for size in (16, 24, 32) if size > max(shape[-2:])]
    rated = [(evidence.lost(*fix), fix) for fix in fixes if fix]
    lost, fix = max(rated, key=lambda pair: pair[0], default=(0.0, ()))
    if lost < LOST:
        return None
    outcome = evidence.trial(*fix)
    assert outcome is not None
    return Finding(
        "warning",
        "images too small",
        f"images are reduced to {shape[-2]} x {shape[-1]} pixels, which loses the detail that tells the classes apart. "
        f"With {fix[0]}, {evidence.reached(outcome)}.",
        fix=fix,
        gain=evidence.gain(outcome),
    )


def frozen_layers(evidence: Evidence) -> Finding | None:
    """Weights are excluded from training, although they are random."""
    weights = [name for name, each in evidence.initial.named_parameters() if each.ndim > 1]
    epochs = frozen_epochs(evidence.config, evidence.initial)
    random = [name for name in weights if name != WHITENED or whitening_of(evidence.config) is None]
    frozen, count = [name for name in random if name in epochs], len(weights)
    section = evidence.config.model
    is_trained = section.pretrained is not None or getattr(section, "weights", None) is not None
    is_forever = all(math.isinf(epochs[name]) for name in frozen)
    if not frozen or (is_trained and (len(frozen) < count or not is_forever)):
        return None
    fix = evidence.fix(remedies.unfrozen(evidence.config))
    shown = ", ".join(frozen[:3]) + (", ..." if len(frozen) > 3 else "")
    what = "keep their random initial values" if not is_trained else "can't adapt to this data"
    when = "" if is_forever else " in the first epochs"
    return Finding(
        "spoils" if len(frozen) == count else "warning",
        "frozen layers",
        f"model.freeze{'' if is_forever else '_epochs'} excludes {len(frozen)} of {count} weights from "
        f"training{when} ({shown}), so they {what}{when and ' until then'}. Freeze only weights that come from "
        f"model.pretrained. Set {' '.join(remedies.unfrozen(evidence.config))}.",
        fix=fix,
        confidence="certain",
    )


RULES = (
    frozen_layers,
    unscaled_target,
    unscaled_columns,
    constant_columns,
    label_noise,
    different_distributions,
    unknown_tokens,
    sequences_cut,
    images_too_small,
)
