"""A file a framework, with one function: `train(job, lap)` trains until its process ends and calls `lap` every epoch.

Each is used as the first examples of its documentation do, with what its users get by default (progress, history,
checkpoints), whose output goes nowhere; nnzoo has its own. All do the same: the fused Adam, where there is one, with lr
1e-3 over shuffled batches, the last and smaller one included, then loss and accuracy on the validation samples, in
batches of `Job.eval_batch_size`.
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
"""By contender the distribution whose version is shown."""

VARIANTS = {
    "nnzoo-bf16": ["train.precision=bf16-mixed"],
    "nnzoo-fp16": ["train.precision=fp16-mixed"],
    "nnzoo-compile": ["train.compile=true"],
}
"""What nnzoo is also measured with on CUDA."""
