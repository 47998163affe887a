"""nnzoo: a short YAML file becomes a trained, evaluated, summarised network.

    run = nnzoo.train("digits_mlp", overrides={"optimizer.lr": 3e-4})
    model = nnzoo.load(run.run_dir)
    model.predict(raw)

Names are imported when they are first used, so that the command line can answer without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnzoo.api import build_model, load, load_config, summary, train

__all__ = ["build_model", "load", "load_config", "summary", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from nnzoo import api

        return getattr(api, name)
    raise AttributeError(f"module 'nnzoo' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
