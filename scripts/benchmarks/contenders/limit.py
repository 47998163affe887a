"""The limit: a hand-written loop over tensors on the device, with the fastest settings known.

It uses plain modules, fused Adam, one permutation per epoch, `index_select`, channels_last for convolutions, gradients
set to None, and one thread if two are slower. It reads no number from a training step.
"""

import os

import torch
from torch.nn.functional import cross_entropy

from benchmarks.laps import Lap
from benchmarks.networks import build_network, tensors
from benchmarks.workloads import LEARNING_RATE, Job


def train(job: Job, lap: Lap) -> None:
    x, y, x_val, y_val = (tensor.to(job.device) for tensor in tensors(job))
    if job.network == "small" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    model = build_network(job.network).to(job.device)
    if x.ndim == 4:
        model = model.to(memory_format=torch.channels_last)
        x, x_val = (images.contiguous(memory_format=torch.channels_last) for images in (x, x_val))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    batch_size = job.batch_size or len(x)

    while True:
        model.train()
        for index in torch.randperm(len(x), device=x.device).split(batch_size):
            loss = cross_entropy(model(x.index_select(0, index)), y.index_select(0, index))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        model.eval()
        correct = loss_sum = torch.zeros((), device=x.device)
        with torch.inference_mode():
            for inputs, targets in zip(x_val.split(job.eval_batch_size), y_val.split(job.eval_batch_size), strict=True):
                outputs = model(inputs)
                loss_sum = loss_sum + cross_entropy(outputs, targets, reduction="sum")
                correct = correct + (outputs.argmax(1) == targets).sum()
        lap(float(correct) / len(x_val))
