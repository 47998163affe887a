"""Lists the private names of other libraries that nnzoo uses, with reasons, because they may change without notice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "nnzoo"

REASONS = {
    "_BatchNorm": "the base of all batch norms: torch has no public name for what they share",
    "_check_input_dim": "the check of a batch norm's own forward, which the synchronised one replaces",
    "_metadata": "versions of modules in a state_dict: some networks of torchvision refuse to load without them",
    "_forward_hooks": "a copy for a summary must not call the original's hooks; torch has no public way to drop them",
    "_forward_pre_hooks": "as _forward_hooks",
    "_backward_hooks": "as _forward_hooks",
    "_backward_pre_hooks": "as _forward_hooks",
    "_opt_called": "torch's schedulers warn if the first step was skipped (fp16) or came before a resume",
    "_is_mkldnn_bf16_supported": "torch has no public test for bfloat16 on ARM",
    "_is_avx512_bf16_supported": "torch has no public test for bfloat16 on x86",
    "_global_optimizer_pre_hooks": "torch's step hooks, which optimizers without its wrapper call themselves",
    "_global_optimizer_post_hooks": "as _global_optimizer_pre_hooks",
    "_python_dispatch": "the base of torch's own counter of FLOPs, whose import takes longer than a small training",
    "_abort_process_group": "ends a NCCL group without waiting for processes that are gone",
    "_getframe": "sys: the depth of the caller, for warnings; the standard library itself uses it so",
    "_exit": "os: ends a process whose second signal must not wait",
    "_foreach_lerp_": "moves the averaged weights of train.ema in one call; torch's own AveragedModel uses it so",
    "_foreach_copy_": "as _foreach_lerp_",
    "_higher_order_ops": "torch's `scan`, the only loop over any number of steps that torch.export can write",
    "_asdict": "a public method of named tuples, underscored so as not to clash with fields",
    "_fields": "as _asdict",
    "_check_sample_weight": "scikit-learn's own check of weights, whose messages its check_estimator expects",
    "_trial_id": "Optuna's key of a trial for signs of life, which it gives only inside its own loop",
    "_safe_indexing": "scikit-learn's selection of rows of any data frame; it has no public one",
}


def trees() -> Iterator[ast.Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_own(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def own_names() -> set[str]:
    """Returns the private names that nnzoo defines: functions, classes, variables and attributes."""
    found = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node.value):
                found.add(node.attr)
    return found


def used_names() -> set[str]:
    """Returns the private names that nnzoo reads, sets or imports."""
    found = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.ImportFrom):
                found |= {alias.name for alias in node.names} | set((node.module or "").split("."))
            elif isinstance(node, ast.Import):
                found |= {part for alias in node.names for part in alias.name.split(".")}
    return {name for name in found if is_private(name)}


def test_private_names_of_other_libraries_are_listed_with_a_reason() -> None:
    assert used_names() - own_names() == set(REASONS)
