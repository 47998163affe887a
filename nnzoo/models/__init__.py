"""Plain PyTorch modules with keyword arguments. They do not depend on the config."""

from nnzoo.models.activations import Maxout, Step
from nnzoo.models.alexnet import alexnet
from nnzoo.models.blocks import ConvLayer, GlobalPool, PoolLayer
from nnzoo.models.cifar_resnet import CifarResNet
from nnzoo.models.cnn import CNN
from nnzoo.models.freezing import Unfreezing, epochs_frozen, freeze
from nnzoo.models.initializers import Assignment, Rule, initialize, plan
from nnzoo.models.kernel import KernelMachine
from nnzoo.models.layers import Dense
from nnzoo.models.lenet import lenet5
from nnzoo.models.mlp import MLP, HiddenLayer
from nnzoo.models.parameters import head_of, penalised, set_train_mode
from nnzoo.models.recurrent import RecurrentNet
from nnzoo.models.tabular import TabularNet
from nnzoo.models.trees import RecursiveNet, TreeLSTM
from nnzoo.models.vgg import vgg

__all__ = [
    "CNN",
    "MLP",
    "Assignment",
    "CifarResNet",
    "ConvLayer",
    "Dense",
    "GlobalPool",
    "HiddenLayer",
    "KernelMachine",
    "Maxout",
    "PoolLayer",
    "RecurrentNet",
    "RecursiveNet",
    "Rule",
    "Step",
    "TabularNet",
    "TreeLSTM",
    "Unfreezing",
    "alexnet",
    "epochs_frozen",
    "freeze",
    "head_of",
    "initialize",
    "lenet5",
    "penalised",
    "plan",
    "set_train_mode",
    "vgg",
]
