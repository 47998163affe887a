"""Plain PyTorch modules with keyword arguments. They have never heard of a config."""

from nnzoo.models.initializers import Assignment, Rule, initialize, plan
from nnzoo.models.layers import Dense
from nnzoo.models.mlp import MLP, HiddenLayer
from nnzoo.models.parameters import freeze, head_of, penalised, set_train_mode

__all__ = [
    "MLP",
    "Assignment",
    "Dense",
    "HiddenLayer",
    "Rule",
    "freeze",
    "head_of",
    "initialize",
    "penalised",
    "plan",
    "set_train_mode",
]
