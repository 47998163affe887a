"""nnzoo trains, evaluates and summarises a network that a short YAML file describes.

    run = nnzoo.train("digits_mlp", overrides={"optimizer.lr": 3e-4})
    run = nnzoo.train({"model": "mlp"}, data=(x, y))
    nnzoo.evaluate(run)
    model = nnzoo.load(run.run_dir)
    model.predict(raw)

Names are imported when they are first used, so that simple commands do not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnzoo import errors
    from nnzoo.api import build_model, compare, evaluate, load, load_config, predict, summary, train
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
    from nnzoo.estimators import NNClassifier, NNRegressor

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
    "NNClassifier",
    "NNRegressor",
    "NnzooError",
    "NnzooWarning",
    "RunError",
    "UsageError",
    "__version__",
    "build_model",
    "compare",
    "errors",
    "evaluate",
    "load",
    "load_config",
    "predict",
    "summary",
    "train",
]


def __getattr__(name: str) -> Any:
    # Called once per name, since the result is stored in the module.
    if name not in __all__:
        raise AttributeError(f"module 'nnzoo' has no attribute '{name}'")
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("nnzoo")
    else:
        from importlib import import_module

        errors = import_module("nnzoo.errors")
        if name == "errors":
            value = errors
        elif hasattr(errors, name):
            value = getattr(errors, name)
        else:
            module = "nnzoo.estimators" if name in ("NNClassifier", "NNRegressor") else "nnzoo.api"
            value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
