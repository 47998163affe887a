"""The importances of the searched keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnzoo.search.storage import direction_of, silent

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

LEAST_TRIALS = 8
"""Of fewer trials, importances would be noise."""


def importances_of(completed: Sequence[FrozenTrial], mode: str) -> tuple[dict[str, float], str]:
    """Returns how much of the variance of the results each key explains (fANOVA), or an empty dict and why not.

    Args:
        completed: The completed trials.
        mode: Whether a lower (min) or a higher (max) result is better.
    """
    import optuna

    finite = [each for each in completed if each.value is not None and math.isfinite(each.value)]
    if len(finite) < LEAST_TRIALS:
        return {}, f"Importances need at least {LEAST_TRIALS} completed trials (there are {len(finite)})."
    if len({each.value for each in finite}) == 1:
        return {}, "All completed trials have the same result, so no key is more important than another."
    try:
        with silent():
            # In a study of its own, without the pruned and the lost entries.
            copied = optuna.create_study(direction=direction_of(mode))
            copied.add_trials(finite)
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            return dict(optuna.importance.get_param_importances(copied, evaluator=evaluator)), ""
    except (RuntimeError, ValueError) as error:
        return {}, f"The importances can't be computed: {error}"
