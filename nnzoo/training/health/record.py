"""The record of the probes: one row per sampled epoch and layer, and the sampled steps of the current epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nnzoo.run.health import COLUMNS, HealthRow

NUMBERS = tuple(name for name in COLUMNS if name != "layer")
PER_STEP = ("saturated", "gradient_norm", "update_ratio", "activation_mean", "activation_variance")
ENOUGH = 32
"""The number of samples for which a ReLU unit must be 0 in a row to be dead. One batch may have fewer."""


@dataclass
class Health:
    """The recorded health of a network, or of K replicas; K is 1 for one network.

    Attributes:
        layers: The names of the L layers; empty before the first sampled step.
        rows: One (L, numbers, K) float64 tensor per sampled epoch, with the columns of `NUMBERS`.
        running: One (L, numbers, K) tensor per sampled step of the current epoch, with the columns of `PER_STEP`, on
            the device.
        steps: The sampled steps of the current epoch, counted from 1.
        silent: For each layer, (K, C): the number of samples since a ReLU unit was last above 0, on the device.
        seen: For each layer, the number of samples that have passed its ReLU units.
    """

    layers: list[str] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)
    running: list[Tensor] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    silent: dict[str, Tensor] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def start(self, layers: list[str]) -> None:
        """Sets the layers. If they differ from the recorded ones, the record is cleared."""
        if self.layers != layers:
            self.layers = list(layers)
            for part in (self.rows, self.running, self.steps, self.silent, self.seen):
                part.clear()

    def end_epoch(self, epoch: int, *, num_samples: int) -> bool:
        """Adds the row of a finished epoch: the means over its sampled steps. This synchronises with the device.

        Args:
            epoch: The epoch, from 1.
            num_samples: The number of train samples.

        Returns:
            Whether any of its steps was sampled.
        """
        if not self.running:
            return False
        means = torch.stack(self.running).cpu().double().nanmean(0)  # (L, 5, K)
        count = means.shape[2]
        enough = min(ENOUGH, num_samples)
        dead = torch.full((len(self.layers), 1, count), torch.nan, dtype=torch.float64)
        for index, name in enumerate(self.layers):
            if self.seen.get(name, 0) >= enough:
                dead[index, 0] = (self.silent[name].cpu() >= enough).double().mean(1)
        place = torch.tensor([epoch, self.steps[-1]], dtype=torch.float64)
        self.rows.append(torch.cat([place.view(1, 2, 1).expand(len(self.layers), 2, count), dead, means], dim=1))
        self.running.clear()
        self.steps.clear()
        return True

    def table(self, index: int = 0, *, last_epoch: float = torch.inf) -> Iterator[HealthRow]:
        """Yields the rows of health.csv for one network, up to an epoch."""
        for row in self.rows:
            if row[0, 0, 0] > last_epoch:
                return
            for name, numbers in zip(self.layers, row[:, :, index].tolist(), strict=True):
                values = dict(zip(NUMBERS, numbers, strict=True))
                yield HealthRow(int(values.pop("epoch")), int(values.pop("step")), name, **values)

    def of(self, index: int, *, last_epoch: float = torch.inf) -> Health:
        """Returns the record of one replica, up to an epoch."""
        rows = [row[:, :, index : index + 1] for row in self.rows if row.numel() and row[0, 0, 0] <= last_epoch]
        return Health(list(self.layers), rows)

    def state_dict(self) -> dict[str, Any]:
        """Returns the values that a resumed run needs, on the CPU."""
        return {
            "layers": list(self.layers),
            "rows": torch.stack(self.rows) if self.rows else None,
            "running": torch.stack(self.running).cpu() if self.running else None,
            "steps": list(self.steps),
            "silent": {name: tensor.cpu() for name, tensor in self.silent.items()},
            "seen": dict(self.seen),
        }

    def load_state_dict(self, state: Any, device: torch.device, count: int = 1) -> None:
        """Restores a saved record; None clears it, since checkpoints of earlier versions have none.

        Args:
            state: The result of `state_dict`. It may come from an untrusted file.
            device: The device of the network.
            count: The number of replicas K.

        Raises:
            ValueError: The content is invalid.
        """
        loaded = Health() if state is None else _parse(state, device, count)
        for name, value in vars(loaded).items():
            setattr(self, name, value)


def _parse(state: Any, device: torch.device, count: int) -> Health:
    if not isinstance(state, dict) or state.keys() != vars(Health()).keys():
        raise ValueError("health has different parts than expected")
    layers, steps, seen, silent = (state[name] for name in ("layers", "steps", "seen", "silent"))
    shapes = {"rows": (len(layers), len(NUMBERS), count), "running": (len(layers), len(PER_STEP), count)}
    tables = {name: state[name] for name in shapes}
    is_valid = (
        isinstance(layers, list)
        and all(type(name) is str for name in layers)
        and isinstance(steps, list)
        and all(type(step) is int for step in steps)
        and len(steps) == (0 if tables["running"] is None else len(tables["running"]))
        and isinstance(seen, dict)
        and isinstance(silent, dict)
        and seen.keys() == silent.keys() <= set(layers)
        and all(type(number) is int for number in seen.values())
        and all(isinstance(each, Tensor) and each.ndim == 2 and len(each) == count for each in silent.values())
        and all(
            table is None or (isinstance(table, Tensor) and table.dtype.is_floating_point and table.shape[1:] == shape)
            for table, shape in zip(tables.values(), shapes.values(), strict=True)
        )
    )
    if not is_valid or (tables["rows"] is not None and not tables["rows"][:, :, :2].isfinite().all()):
        raise ValueError("health has a different type or shape than expected")
    return Health(
        layers=layers,
        rows=[] if tables["rows"] is None else list(tables["rows"].double()),
        running=[] if tables["running"] is None else list(tables["running"].to(device)),
        steps=steps,
        silent={name: tensor.to(device) for name, tensor in silent.items()},
        seen=seen,
    )
