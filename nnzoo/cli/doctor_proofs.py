"""The text of `nnzoo doctor RUN --prove` and `--apply`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnzoo.doctor.proof.session import Proved


def report(proved: Proved) -> str:
    """Returns one line per fix: the verdict, the change, and its effect."""
    from nnzoo.doctor.proof.session import comparison

    if not proved.proofs:
        return "nothing to prove: no finding has a fix that a config can express."
    lines = [f"fixes, tried with {proved.seeds} seeds in {proved.seconds:.0f} s:"]
    lines += [f"{proof.verdict:10}{proof.change}: {comparison(proof)}" for proof in proved.proofs]
    if proved.together is not None and proved.together not in proved.proofs:
        lines.append(f"{'together':10}{proved.together.change}: {comparison(proved.together)}")
    return "\n".join(lines)


def written(path: Path, fix: Sequence[str], *, proved: bool) -> str:
    """Returns what was written to the file of `--apply`."""
    if not fix:
        return f"{path} was not written: no fix {'was proved' if proved else 'is known'}."
    untested = "" if proved else ". They were not tested: --prove tests them"
    return f"{path} has the fixes {', '.join(fix)}{untested}."
