"""Finds the intended name: by synonym, by prefix, by spelling."""

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
    "weights": ("values", "pretrained"),
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
    "units": ("hidden",),
    "num_layers": ("hidden",),
    "n_layers": ("num_layers", "hidden"),
    "depth": ("num_layers", "hidden"),
    "width": ("hidden", "hidden_size"),
    "checkpoint": ("pretrained",),
    "from_checkpoint": ("pretrained",),
    "init_from": ("pretrained",),
    "load_from": ("pretrained",),
    "finetune": ("pretrained",),
    "fine_tune": ("pretrained",),
    "frozen": ("freeze",),
    "trainable": ("freeze",),
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
    "augmentations": ("augment",),
    "transforms": ("augment",),
    "hflip": ("horizontal_flip",),
    "flip": ("horizontal_flip",),
    "random_horizontal_flip": ("horizontal_flip",),
    "crop": ("random_crop",),
    "rotate": ("rotation",),
    "random_rotation": ("rotation",),
    "random_erasing": ("erasing",),
    "cutout": ("erasing",),
    "gaussian_noise": ("noise",),
    "colorjitter": ("color_jitter",),
    "images": ("image_folder",),
    "imagefolder": ("image_folder",),
    "fashionmnist": ("fashion_mnist",),
    "image_size": ("size",),
    "img_size": ("size",),
    "training": ("train",),
    "trainer": ("train",),
    "num_epochs": ("epochs",),
    "max_epochs": ("epochs",),
    "n_epochs": ("epochs",),
    "n_init": ("restarts",),
    "num_restarts": ("restarts",),
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
    "label": ("target",),
    "labels": ("target",),
    "label_column": ("target",),
    "target_column": ("target",),
    "y": ("target",),
    "columns": ("features", "names"),
    "column_names": ("names",),
    "feature_columns": ("features",),
    "categorical_features": ("categorical",),
    "exclude": ("ignore",),
    "sep": ("delimiter",),
    "separator": ("delimiter",),
    "na_values": ("missing",),
    "missing_values": ("missing",),
    "group_by": ("group",),
    "groups": ("group",),
    "drop_duplicates": ("deduplicate",),
    "table": ("csv",),
    "tabular": ("csv",),
    "tsv": ("csv",),
    "dataframe": ("csv",),
    "filename": ("path",),
    "root": ("path",),
    "npz": ("arrays",),
    "npy": ("arrays",),
    "texts": ("text",),
    "timeseries": ("series",),
    "time_series": ("series",),
    "lookback": ("window",),
    "steps_ahead": ("horizon",),
    "max_len": ("max_length",),
    "max_tokens": ("vocab_size",),
    "lower": ("lowercase",),
    "min_freq": ("min_count",),
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
    "warm_restarts": ("cosine_restarts",),
    "onecycle": ("one_cycle",),
    "poly": ("polynomial",),
    "cyclic_lr": ("cyclic",),
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
    "multi_margin_loss": ("multi_margin",),
    "kl": ("kl_div",),
    "kullback_leibler": ("kl_div",),
    "kldiv": ("kl_div",),
    "negative_log_likelihood": ("nll",),
    "focal_loss": ("focal",),
    "acc": ("accuracy",),
    "f1_score": ("f1",),
    "top5": ("top5_accuracy",),
    "top_5_accuracy": ("top5_accuracy",),
    "auc": ("auroc",),
    "bacc": ("balanced_accuracy",),
    "balanced_acc": ("balanced_accuracy",),
    "mean_recall": ("balanced_accuracy",),
    "ap": ("average_precision",),
    "auprc": ("average_precision",),
    "pr_auc": ("average_precision",),
    "average_precision_score": ("average_precision",),
    "roc_auc": ("auroc",),
    "ppl": ("perplexity",),
    "r2_score": ("r2",),
    "sensitivity": ("recall",),
    "gpu": ("cuda",),
    "amp": ("precision", "bf16-mixed"),
    "mixed": ("bf16-mixed",),
    "mixed_precision": ("precision",),
    "dtype": ("precision",),
    "bfloat16": ("bf16-mixed",),
    "float16": ("fp16-mixed",),
    "half": ("fp16-mixed",),
    "float32": ("fp32",),
    "torch_compile": ("compile",),
    "rms": ("rmsprop",),
    "bfgs": ("lbfgs",),
    "l_bfgs": ("lbfgs",),
    "heaviside": ("step",),
    "momentum": ("sgd",),
    "mini_batch": ("batch_size",),
    "xavier": ("xavier_normal",),
    "breast-cancer": ("breast_cancer",),
    "cancer": ("breast_cancer",),
    "flowers": ("iris",),
    "sin": ("sine",),
    "adding_problem": ("adding",),
    "add": ("adding",),
    "sequence_length": ("length", "window", "max_length"),
    "two_moons": ("moons",),
    "make_moons": ("moons",),
}


def _normalized(word: str) -> str:
    return word.lower().replace("-", "_").strip()


def same_name(word: str, name: str) -> bool:
    """Returns whether two names differ at most in case and in `-` or `_`."""
    return _normalized(word) == _normalized(name)


def synonyms_of(word: str) -> tuple[str, ...]:
    """Returns the names in nnzoo for a name used by other libraries, the most likely first."""
    return SYNONYMS.get(_normalized(word), ())


def closeness(word: str, name: str) -> float:
    """Returns the similarity of two names, from 0 to 1."""
    return difflib.SequenceMatcher(None, _normalized(name), _normalized(word)).ratio()


def known_as(word: str, allowed: Iterable[str]) -> str | None:
    """Returns the allowed name that differs only in case or is a synonym; None if there is none."""
    names = list(allowed)
    same = [name for name in names if same_name(word, name)]
    return next(iter([*same, *(name for name in synonyms_of(word) if name in names)]), None)


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """Returns the allowed name that was most likely intended; None if there is none."""
    names = list(allowed)
    known = known_as(word, names)
    if known:
        return known
    lowered = _normalized(word)
    starts = [
        name for name in names if len(lowered) > 1 and (name.startswith(lowered) or lowered.startswith(f"{name}_"))
    ]
    if starts:
        return min(starts, key=len)
    by_case = {name.lower(): name for name in names}
    close = difflib.get_close_matches(lowered, by_case, n=1, cutoff=0.55)
    return by_case[close[0]] if close else None


def did_you_mean(word: object, allowed: Iterable[str]) -> str:
    """Returns ` Did you mean 'lr'?`, or an empty string."""
    found = nearest(word, allowed) if isinstance(word, str) else None
    return f" Did you mean '{found}'?" if found else ""


def either(words: list[str]) -> str:
    """Joins alternatives as in a sentence: "a, b or c"."""
    words = list(dict.fromkeys(words))
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
