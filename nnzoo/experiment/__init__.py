"""The verbs: train (and resume), evaluate, load."""

from nnzoo.experiment.evaluate import EvalResult, evaluate_checkpoint
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.train import Run, train

__all__ = ["EvalResult", "Run", "TrainedModel", "evaluate_checkpoint", "load", "train"]
