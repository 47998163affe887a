"""A file a framework, with one function: `train(job, lap)` trains until its process ends and calls `lap` every epoch.

Each does what its documentation tells a user who wants speed, without progress bars, loggers or checkpoints, and all do
the same: Adam with lr 1e-3 over shuffled batches, the last and smaller one included, then loss and accuracy on the
validation samples, in batches of `Job.eval_batch_size`.
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
