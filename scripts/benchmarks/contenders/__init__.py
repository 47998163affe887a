"""One file per framework, with a function `train(job, lap)` that trains forever and calls `lap` after every epoch.

Each framework is used as in its first documented examples, with its default progress, history and checkpoints; output
is discarded. All do the same work: fused Adam if available, with lr 1e-3, on shuffled batches including a smaller last
one, then loss and accuracy on the validation samples in batches of `Job.eval_batch_size`.
"""

DISTRIBUTIONS = {
    "limit": "torch",
    "nnzoo": "nnzoo",
    "dataloader": "torch",
    "ignite": "pytorch-ignite",
    "skorch": "skorch",
    "lightning": "lightning",
    "fastai": "fastai",
    "keras": "keras",
}
"""The distribution whose version is reported, by contender."""

VARIANTS = {
    "nnzoo-bf16": ["train.precision=bf16-mixed"],
    "nnzoo-fp16": ["train.precision=fp16-mixed"],
    "nnzoo-compile": ["train.compile=true"],
    "nnzoo-graphs": ["train.compile=cuda_graphs"],
}
"""Overrides of the variants of nnzoo that are measured on CUDA."""
