"""nnzoo: a short YAML file becomes a trained, evaluated, summarised network.

    run = nnzoo.train("digits_mlp", overrides={"optimizer.lr": 3e-4})
    run = nnzoo.train({"model": "mlp"}, data=(x, y))
    nnzoo.evaluate(run)
    model = nnzoo.load(run.run_dir)
    model.predict(raw)

Names are imported when they are first used, so that the command line can answer without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnzoo import errors
    from nnzoo.api import build_model, evaluate, load, load_config, predict, summary, train
    from nnzoo.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        DataWarning,
        DivergedError,
        GateError,
        GroupError,
        InterruptedRunError,
        NnzooError,
        NnzooWarning,
        RunError,
        UsageError,
    )

    __version__: str

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DataError",
    "DataWarning",
    "DivergedError",
    "GateError",
    "GroupError",
    "InterruptedRunError",
    "NnzooError",
    "NnzooWarning",
    "RunError",
    "UsageError",
    "__version__",
    "build_model",
    "errors",
    "evaluate",
    "load",
    "load_config",
    "predict",
    "summary",
    "train",
]


def __getattr__(name: str) -> Any:
    # Called once per name: what it returns is kept in the module.
    if name not in __all__:
        raise AttributeError(f"module 'nnzoo' has no attribute '{name}'")
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("nnzoo")
    else:
        from importlib import import_module

        errors = import_module("nnzoo.errors")
        if name == "errors":
            found = errors
        elif hasattr(errors, name):
            found = getattr(errors, name)
        else:
            found = getattr(import_module("nnzoo.api"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
