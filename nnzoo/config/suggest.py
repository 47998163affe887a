"""The nearest name: by synonym, by prefix, by spelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SYNONYMS: dict[str, tuple[str, ...]] = {
    "learning_rate": ("lr",),
    "learningrate": ("lr",),
    "step_size": ("lr",),
    "alpha": ("lr", "negative_slope"),
    "l2_regularization": ("weight_decay", "l2"),
    "decay": ("weight_decay", "gamma"),
    "wd": ("weight_decay",),
    "beta1": ("betas",),
    "beta2": ("betas",),
    "epsilon": ("eps",),
    "glorot": ("xavier_uniform",),
    "glorot_uniform": ("xavier_uniform",),
    "glorot_normal": ("xavier_normal",),
    "he": ("kaiming_normal",),
    "he_normal": ("kaiming_normal",),
    "he_uniform": ("kaiming_uniform",),
    "lecun": ("lecun_normal",),
    "identity_matrix": ("eye",),
    "gaussian": ("normal",),
    "weight": ("values",),
    "weights": ("values",),
    "value": ("val", "values"),
    "filters": ("out_channels",),
    "channels": ("out_channels",),
    "kernel": ("kernel_size",),
    "hidden_layers": ("hidden",),
    "hidden_sizes": ("hidden",),
    "hidden_layer_sizes": ("hidden",),
    "hidden_units": ("hidden", "units"),
    "hidden_size": ("hidden", "units"),
    "neurons": ("units", "hidden"),
    "num_units": ("units",),
    "size": ("units", "shape"),
    "layer": ("layers",),
    "type": ("name",),
    "kind": ("name",),
    "nonlinearity": ("activation",),
    "act": ("activation",),
    "activation_fn": ("activation",),
    "activation_function": ("activation",),
    "use_bias": ("bias",),
    "batchnorm": ("batch_norm",),
    "bn": ("batch_norm",),
    "normalization": ("batch_norm", "normalize"),
    "dropout_rate": ("dropout",),
    "drop_rate": ("dropout",),
    "output_activation": ("output",),
    "final_activation": ("output",),
    "none": ("identity",),
    "linear": ("identity",),
    "swish": ("silu",),
    "lrelu": ("leaky_relu",),
    "leakyrelu": ("leaky_relu",),
    "logsoftmax": ("log_softmax",),
    "logistic": ("sigmoid", "linear"),
    "logistic_regression": ("linear",),
    "linear_regression": ("linear",),
    "mlpclassifier": ("mlp",),
    "dense": ("mlp",),
    "feedforward": ("mlp",),
    "fully_connected": ("mlp",),
    "fc": ("mlp",),
    "dataset": ("data",),
    "network": ("model",),
    "net": ("model",),
    "architecture": ("model",),
    "initializer": ("init",),
    "initialization": ("init",),
    "initialisation": ("init",),
    "weight_init": ("init",),
    "criterion": ("loss",),
    "loss_function": ("loss",),
    "objective": ("loss",),
    "optim": ("optimizer",),
    "optimiser": ("optimizer",),
    "lr_scheduler": ("scheduler",),
    "schedule": ("scheduler",),
    "regularizer": ("regularization",),
    "regularisation": ("regularization",),
    "preprocessing": ("preprocess",),
    "normalisation": ("normalize",),
    "normalise": ("normalize",),
    "scaling": ("normalize",),
    "zscore": ("standardize",),
    "standard": ("standardize",),
    "standardise": ("standardize",),
    "min_max": ("minmax",),
    "augmentation": ("augment",),
    "training": ("train",),
    "trainer": ("train",),
    "num_epochs": ("epochs",),
    "max_epochs": ("epochs",),
    "n_epochs": ("epochs",),
    "batch": ("batch_size",),
    "batchsize": ("batch_size",),
    "bs": ("batch_size",),
    "early_stop": ("early_stopping",),
    "gradient_clip_val": ("clip_grad_norm",),
    "grad_clip": ("clip_grad_norm",),
    "gradient_clipping": ("clip_grad_norm",),
    "max_grad_norm": ("clip_grad_norm",),
    "accumulate": ("accumulate_grad_batches",),
    "gradient_accumulation_steps": ("accumulate_grad_batches",),
    "random_seed": ("seed",),
    "random_state": ("seed",),
    "validation": ("val",),
    "valid": ("val",),
    "val_split": ("val",),
    "validation_split": ("val",),
    "test_size": ("test",),
    "test_split": ("test",),
    "shuffle_seed": ("seed",),
    "n_samples": ("samples",),
    "num_samples": ("samples",),
    "n_classes": ("classes",),
    "num_classes": ("classes",),
    "num_targets": ("targets",),
    "input_shape": ("shape",),
    "file": ("path",),
    "filename": ("path",),
    "root": ("path",),
    "npz": ("arrays",),
    "npy": ("arrays",),
    "numpy": ("arrays",),
    "min_change": ("min_delta",),
    "warmup": ("warmup_epochs",),
    "warmup_steps": ("warmup_epochs",),
    "t_max": ("T_max",),
    "steps": ("milestones",),
    "step_lr": ("step",),
    "multistep_lr": ("multistep",),
    "exponential_lr": ("exponential",),
    "cosine_annealing": ("cosine",),
    "reduce_on_plateau": ("plateau",),
    "reduce_lr_on_plateau": ("plateau",),
    "crossentropy": ("cross_entropy",),
    "ce": ("cross_entropy",),
    "softmax_cross_entropy": ("cross_entropy",),
    "categorical_crossentropy": ("cross_entropy",),
    "binary_crossentropy": ("bce",),
    "binary_cross_entropy": ("bce",),
    "log_loss": ("cross_entropy", "bce"),
    "squared_error": ("mse",),
    "l2": ("mse", "weight_decay"),
    "absolute_error": ("l1",),
    "svm": ("hinge",),
    "acc": ("accuracy",),
    "f1_score": ("f1",),
    "r2_score": ("r2",),
    "sensitivity": ("recall",),
    "gpu": ("cuda",),
    "rms": ("rmsprop",),
    "momentum": ("sgd",),
    "mini_batch": ("batch_size",),
    "xavier": ("xavier_normal",),
    "breast-cancer": ("breast_cancer",),
    "cancer": ("breast_cancer",),
    "flowers": ("iris",),
    "sin": ("sine",),
    "two_moons": ("moons",),
    "make_moons": ("moons",),
}


def known_as(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that is the same word: in other case, or by a synonym."""
    names = list(allowed)
    lowered = word.lower().replace("-", "_").strip()
    same = [name for name in names if name.lower() == lowered]
    return next(iter([*same, *(name for name in SYNONYMS.get(lowered, ()) if name in names)]), None)


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that was most likely meant, if any."""
    names = list(allowed)
    known = known_as(word, names)
    if known:
        return known
    lowered = word.lower().replace("-", "_").strip()
    starts = [
        name for name in names if len(lowered) > 1 and (name.startswith(lowered) or lowered.startswith(f"{name}_"))
    ]
    if starts:
        return min(starts, key=len)
    by_case = {name.lower(): name for name in names}
    close = difflib.get_close_matches(lowered, by_case, n=1, cutoff=0.55)
    return by_case[close[0]] if close else None


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """` Did you mean 'lr'?`, or nothing."""
    found = nearest(word, allowed) if isinstance(word, str) else None
    return f" Did you mean '{found}'?" if found else ""
