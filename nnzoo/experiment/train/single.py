"""Trains the network of a run. The module `restarts` trains several networks."""

from __future__ import annotations

from typing import Any

import torch

from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.resume.untrusted import check_saved
from nnzoo.experiment.train.record import Recorder
from nnzoo.training.learner import Status
from nnzoo.training.loop import fit, is_over
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.outcome import Restarts
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState


class Training:
    """The training of one network.

    Args:
        experiment: The experiment.
        state: The initial state.
    """

    def __init__(self, experiment: Experiment, state: TrainState) -> None:
        self.experiment = experiment
        self.state = state

    def restarts(self) -> Restarts | None:
        """Returns the results of the restarts so far; None if there are no restarts."""
        return None

    def best_state(self) -> TrainState:
        """Returns the training state with the best weights of the run; with restarts, that of the best restart."""
        return self.state

    def position(self) -> str:
        """Returns the epoch in progress, for messages."""
        return f"epoch {self.state.epoch + 1}"

    def done(self) -> str:
        """Returns how many epochs and steps are done, for messages."""
        return f"epoch {self.state.epoch}, step {self.state.step}"

    def is_over(self) -> bool:
        """Returns whether training is finished."""
        return is_over(SingleLearner(self.state), self.experiment.settings)

    def check(self, saved: dict[str, Any]) -> None:
        """Raises ValueError if the content of last.safetensors does not belong to this run."""
        check_saved(saved, self.state.state_dict(), shapes_of(self.state.optimizer))

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restores the content of last.safetensors."""
        self.state.load_state_dict(saved)

    def rank_states(self, saved: dict[str, Any]) -> Any:
        """Returns the states of the ranks other than 0 in last.safetensors."""
        return saved.get("ranks", [])

    def fit(self, recorder: Recorder, progress: Progress, stop: StopRequest) -> Status:
        """Trains until the end, or until a signal arrives.

        Raises:
            DivergedError: The loss is not finite; with restarts, the loss of every restart.
        """
        experiment = self.experiment
        group = experiment.settings.group
        with group.training(self.state.model, self.state.forward or self.state.model):
            return fit(
                SingleLearner(self.state),
                experiment.splits,
                experiment.settings,
                save=lambda state: recorder.save(state, group.gather_state(state.state_dict())),
                log_epoch=recorder.log_epoch,
                progress=progress,
                stop=stop,
            )


def shapes_of(optimizer: torch.optim.Optimizer) -> list[torch.Size]:
    """Returns the shapes of an optimizer's parameters, in order."""
    return [each.shape for group in optimizer.param_groups for each in group["params"]]
