"""The tasks of a dataset. This file does not import torch, unlike the readers that use it."""

from __future__ import annotations

from typing import Literal

Task = Literal["classification", "multilabel", "regression"]
