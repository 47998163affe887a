"""The communication of the processes that train one network.

`torchrun` starts them. Each has the network and the data, and computes its share of every batch. A single process is
also a `Group`, which never communicates, so the same loop works for both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nnzoo.errors import GroupError
from nnzoo.run.tensor_file import from_bytes, to_bytes
from nnzoo.training.processes.batch_norm import synchronised
from nnzoo.training.signals import StopRequest

T = TypeVar("T")

PER_RANK = ("train_loss", "train_metrics", "rng")
"""The keys of the training state that differ between ranks."""

PROCESS_LOST = (
    "a process of the group ended or can't be reached (killed, out of memory, or its machine failed). The last "
    "checkpoint is intact: the same command with --resume continues."
)

OVERLAPPING: tuple[str, ...] = ("cuda",)
"""The types of devices on which gradients are reduced during the backward pass. On the CPU that is no faster."""

CLOSED_CONNECTION = ("Connection closed", "Connection reset", "Broken pipe")
"""Messages of torch that add nothing to PROCESS_LOST."""


class Group:
    """The processes that train together. This base class is for a single process.

    Attributes:
        rank: The rank of this process. Only rank 0 writes and prints.
        size: The number of processes.
        samples: The number of samples of the current step over all processes; 0 for a single process.
    """

    rank = 0
    size = 1
    samples = 0

    @contextlib.contextmanager
    def fail_together(self) -> Iterator[None]:
        """A context manager that raises an error on every rank if the block fails on one rank."""
        yield

    def from_first(self, compute: Callable[[], T]) -> T:
        """Calls a function on rank 0, and returns its result (tensors and plain values) on every rank."""
        return compute()

    def gather(self, value: Any) -> list[Any]:
        """Returns the values (tensors and plain values) of all processes, by rank."""
        return [value]

    def total(self, number: float) -> float:
        """Returns the sum over all processes."""
        return number

    @contextlib.contextmanager
    def training(self, model: nn.Module, forward: Callable[..., Tensor]) -> Iterator[None]:  # noqa: ARG002
        """A context manager in which all processes train a model from the same weights, with synchronised batch norm.

        Args:
            model: The model.
            forward: The function that steps call: the model itself, compiled, or under autocast.
        """
        yield

    def change_parameters(self) -> None:
        """Is called, within `training`, after the set of trained parameters has changed."""

    def call(self, forward: Callable[..., Tensor], inputs: Sequence[Tensor], *, is_last: bool) -> Tensor:  # noqa: ARG002
        """Calls `forward` in a step. The backward pass of the last batch of a step may all-reduce gradients."""
        return forward(*inputs)

    def share(self, start: int, end: int) -> tuple[int, int]:
        """Returns the share of this process in the samples from `start` to `end`. It may be empty."""
        return start, end

    def shares(self, batches: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """Returns the share of this process in each batch, without empty shares."""
        return batches

    def begin_step(
        self,
        batches: Sequence[tuple[int, int]],
        stop: StopRequest,  # noqa: ARG002
        is_due: Callable[[int], bool],  # noqa: ARG002
        step: int,  # noqa: ARG002
    ) -> int:
        """Begins a step, and returns the number of its batches in which this process has a share.

        Args:
            batches: The start and end of each batch.
            stop: The stop request. In this step, it is sent to the other ranks.
            is_due: Returns whether a checkpoint is due after a step.
            step: The number of the step.
        """
        return len(batches)

    def reduce_loss(self, loss: Tensor | float, *, is_last: bool) -> Tensor | float:  # noqa: ARG002
        """Adds the loss of a batch, before its backward pass; after the last one, returns the loss over all processes.

        Stop requests and due checkpoints are exchanged in the same collective.
        """
        return loss

    def add_gradients(self, optimizer: torch.optim.Optimizer, count: Tensor | float, *, summed: bool) -> None:
        """Combines the gradients of all processes.

        Args:
            optimizer: The optimizer of the trained parameters.
            count: The weight of the samples of this process in the mean loss.
            summed: Whether the loss is a sum instead of a mean.
        """

    def loss_of_all(self, loss: float) -> float:
        """Returns the loss of the step over all processes, computed from the losses of their shares."""
        return loss

    def should_stop(self, stop: StopRequest) -> bool:
        """Whether all processes stop after this step, because one of them received a signal."""
        return stop.signal_number is not None

    def agrees_on_checkpoint(self, is_due: Callable[[int], bool], step: int) -> bool:
        """Whether a checkpoint is written after this step."""
        return is_due(step)

    def gather_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """Returns the training state, extended by the `PER_RANK` entries of the other ranks."""
        return state


SINGLE_PROCESS = Group()


class ProcessGroup(Group):
    """Several processes that communicate through torch.distributed.

    Args:
        rank: The rank of this process.
        size: The number of processes.
        store: The key-value store of the group, which still works after a process has ended.
    """

    def __init__(self, rank: int, size: int, store: Any) -> None:
        self.rank = rank
        self.size = size
        self.store = store
        self._loss = 0.0
        self._requests = (False, False)
        self._agreed = (False, False)
        self._factor: Tensor | float = 1.0
        self._overlap: Callable[[], nn.Module] | None = None
        self._overlapped: nn.Module | None = None
        self._overlaps = False

    @contextlib.contextmanager
    def fail_together(self) -> Iterator[None]:
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        self._compare(failure)

    def _compare(self, failure: Exception | None) -> None:
        """Raises the error of the first rank that has one. Other ranks raise a GroupError with the same message."""
        failures = self.gather(None if failure is None else [str(failure), getattr(failure, "exit_code", 1)])
        failed = next((rank for rank, each in enumerate(failures) if each is not None), None)
        if failed == self.rank and failure is not None:
            raise failure
        if failed is not None:
            raise _failed(failed, *failures[failed])

    def from_first(self, compute: Callable[[], T]) -> T:
        if self.rank:
            received = self._receive()
            if "failed" in received:
                raise _failed(0, *received["failed"])
            value: T = received["value"]
            return value
        try:
            result = compute()
        except BaseException as error:
            self._send({"failed": [str(error), getattr(error, "exit_code", 1)]})
            raise
        self._send({"value": result})
        return result

    def _send(self, value: Any) -> None:
        from torch import distributed

        data = _packed(value)
        with connection_errors():
            distributed.broadcast(torch.tensor(len(data)), 0)
            distributed.broadcast(data, 0)

    def _receive(self) -> Any:
        from torch import distributed

        size = torch.tensor(0)
        with connection_errors():
            distributed.broadcast(size, 0)
            data = torch.empty(int(size), dtype=torch.uint8)
            distributed.broadcast(data, 0)
        return _unpacked(data)

    def gather(self, value: Any) -> list[Any]:
        from torch import distributed

        data = _packed(value)
        sizes = [torch.tensor(0) for _ in range(self.size)]
        with connection_errors():
            distributed.all_gather(sizes, torch.tensor(len(data)))
            longest = max(map(int, sizes))
            rows = [torch.empty(longest, dtype=torch.uint8) for _ in sizes]
            distributed.all_gather(rows, nn.functional.pad(data, (0, longest - len(data))))
        return [_unpacked(row[: int(size)]) for row, size in zip(rows, sizes, strict=True)]

    def total(self, number: float) -> float:
        return self._sum(torch.tensor([number], dtype=torch.float64)).item()

    def _sum(self, values: Tensor) -> Tensor:
        from torch import distributed

        with connection_errors():
            distributed.all_reduce(values)
        return values

    @contextlib.contextmanager
    def training(self, model: nn.Module, forward: Callable[..., Tensor]) -> Iterator[None]:
        from torch import distributed

        with connection_errors(), torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                # As bytes, since not every dtype can be sent, and contiguous, since a parameter may have any layout.
                data = tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8)
                distributed.broadcast(data, 0)
                tensor.copy_(data.view(tensor.dtype).view_as(tensor))
        with connection_errors(), synchronised(model):
            if next(model.parameters()).device.type in OVERLAPPING:
                from nnzoo.training.processes.overlap import overlapped

                self._overlap = partial(overlapped, model, forward)
                self._overlapped = self._overlap()
            try:
                yield
            finally:
                self._overlap = self._overlapped = None

    def change_parameters(self) -> None:
        if self._overlap is not None:
            with connection_errors():
                # DistributedDataParallel looks for the trained parameters only when it is built. The old one has hooks
                # on the gradients until it is deleted.
                self._overlapped = None
                self._overlapped = self._overlap()

    def call(self, forward: Callable[..., Tensor], inputs: Sequence[Tensor], *, is_last: bool) -> Tensor:
        if is_last and self._overlaps and self._overlapped is not None:
            forward = self._overlapped
        return forward(*inputs)

    def share(self, start: int, end: int) -> tuple[int, int]:
        # Rounded up, so that rank 0 always has samples.
        first, last = (-(-(end - start) * rank // self.size) for rank in (self.rank, self.rank + 1))
        return start + first, start + last

    def shares(self, batches: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        shares = [self.share(start, end) for start, end in batches]
        return [(start, end) for start, end in shares if start < end]

    def begin_step(
        self, batches: Sequence[tuple[int, int]], stop: StopRequest, is_due: Callable[[int], bool], step: int
    ) -> int:
        self.samples = batches[-1][1] - batches[0][0]
        self._loss = 0.0
        # A process without samples would not take part in the backward pass.
        has_empty_share = any(end - start < self.size for start, end in batches)
        self._overlaps = self._overlapped is not None and not has_empty_share
        # Clocks differ between processes, so rank 0 decides about checkpoints.
        self._requests = stop.signal_number is not None, self.rank == 0 and is_due(step)
        return len(self.shares(batches))

    def reduce_loss(self, loss: Tensor | float, *, is_last: bool) -> Tensor | float:
        self._loss += loss if isinstance(loss, float) else 0.0
        if not is_last:
            return 0.0
        total, stop, due = self._sum(torch.tensor([self._loss, *self._requests], dtype=torch.float64))
        self._agreed = bool(stop), bool(due)
        return float(total)

    def add_gradients(self, optimizer: torch.optim.Optimizer, count: Tensor | float, *, summed: bool) -> None:
        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        device = parameters[0].device
        if self._overlaps:
            self._divide_summed_gradients(parameters, count, summed=summed)
            return
        used = torch.tensor([each.grad is not None for each in parameters], dtype=torch.float32)
        on_host = device.type == "cpu"
        if not on_host:
            # Reduced on the host, since reading the flags from the device would be a sync.
            self._sum(used)
        parts = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        dtype = reduce(torch.promote_types, (part.dtype for part in parts), torch.float32)
        # (P + 1,), or with one flag per parameter (P + 1 + U,)
        tail = [torch.zeros(1, dtype=dtype, device=device) + count, *([used.to(dtype)] if on_host else [])]
        flat = self._sum(torch.cat([*(part.reshape(-1).to(dtype) for part in parts), *tail]))
        size = sum(part.numel() for part in parts)
        reduced, total = flat[:size].split_with_sizes([part.numel() for part in parts]), flat[size]
        used = flat[size + 1 :] if on_host else used
        if not summed:
            self._factor = self.samples / total
            flat[:size].mul_(self._factor)
        for parameter, part, is_used in zip(parameters, reduced, used.tolist(), strict=True):
            # In the layout of the parameter, which fused optimizers require: convolutions may be channels last.
            parameter.grad = torch.empty_like(parameter).copy_(part.view_as(parameter)) if is_used else None

    def _divide_summed_gradients(
        self, parameters: Sequence[nn.Parameter], count: Tensor | float, *, summed: bool
    ) -> None:
        """Divides gradients by the total weight of the samples instead of their number, where the two differ."""
        if summed or isinstance(count, int):  # the number of samples; weights and positions have a float or a tensor
            return
        total = self._sum(torch.zeros(1, dtype=torch.float64, device=parameters[0].device) + count)
        self._factor = self.samples / total
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(self._factor)

    def loss_of_all(self, loss: float) -> float:
        return self.total(loss) * float(self._factor)

    def should_stop(self, stop: StopRequest) -> bool:
        if not self._agreed[0]:
            return False
        stop.signal_number = max(number or 0 for number in self.gather(stop.signal_number))
        return True

    def agrees_on_checkpoint(self, is_due: Callable[[int], bool], step: int) -> bool:  # noqa: ARG002
        return self._agreed[1]

    def gather_state(self, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, "ranks": self.gather({key: state[key] for key in PER_RANK})[1:]}

    def claim_error_report(self) -> bool:
        """Whether this process is the first to claim that it reports why the group failed."""
        try:
            return bool(self.store.add("claimed", 1) == 1)
        except RuntimeError:  # the process that hosted the store has ended
            return True


def _failed(rank: int, message: str, exit_code: int) -> GroupError:
    return GroupError(f"rank {rank}: {message}", printed_elsewhere=True, exit_code=exit_code)


def _packed(value: Any) -> Tensor:
    """Returns the value as bytes, (n,), in the format of a checkpoint."""
    return torch.frombuffer(bytearray(to_bytes(value)), dtype=torch.uint8)


def _unpacked(data: Tensor) -> Any:
    return from_bytes(data.numpy().tobytes())


@contextlib.contextmanager
def connection_errors() -> Iterator[None]:
    """A context manager that raises GroupError if torch can't reach the other processes."""
    try:
        yield
    except RuntimeError as error:
        if not is_connection_error(error):
            raise
        first_line = str(error).partition("\n")[0]
        reason = "" if any(text in first_line for text in CLOSED_CONNECTION) else f" (torch: {first_line})"
        raise GroupError(f"{PROCESS_LOST}{reason}") from error


def is_connection_error(error: RuntimeError) -> bool:
    """Whether an error of torch means that a process can't be reached."""
    from torch import distributed

    texts = ("gloo", "NCCL", *CLOSED_CONNECTION)
    return isinstance(error, distributed.DistError) or any(text in str(error) for text in texts)
