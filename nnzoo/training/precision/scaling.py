"""Half precision: layers compute in 16 bits under torch.autocast; weights, losses and metrics stay float32."""

from __future__ import annotations

import platform
from collections.abc import Callable

import torch
from torch import Tensor

DTYPES = {"bf16-mixed": torch.bfloat16, "fp16-mixed": torch.float16}
"""The type of autocast for each `train.precision`. fp32 has none, and no overhead."""

SMALLEST_SCALE = 1e-4
"""The smallest loss scale. Gradients that still overflow cannot be fixed by lowering it (also the limit of fairseq)."""


class Autocast:
    """Calls a network under torch.autocast: (N, *) -> float32 outputs, as losses and metrics need them.

    Args:
        network: The network.
        device: The device of the network.
        dtype: bfloat16 or float16, used for matrix products, convolutions and recurrent cells.
    """

    def __init__(self, network: Callable[..., Tensor], device: torch.device, dtype: torch.dtype) -> None:
        self.network = network
        self.device_type = device.type
        self.dtype = dtype

    def __call__(self, *inputs: Tensor) -> Tensor:
        with torch.autocast(self.device_type, self.dtype):
            outputs = self.network(*inputs)
        return outputs.float()


def unsupported_reason(precision: str, device: torch.device) -> str | None:
    """Returns why a device does not support a precision, and what to do; None if it does."""
    if precision == "fp16-mixed" and device.type != "cuda":
        return f"fp16-mixed needs CUDA (got {device.type}). Use bf16-mixed or fp32."
    if precision != "bf16-mixed":
        return None
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        if torch.version.hip or gpu.major >= 8:
            return None
        return f"{gpu.name} has no bfloat16 (compute capability {gpu.major}.{gpu.minor}, needs 8.0). Use fp16-mixed."
    if device.type == "mps":
        return None if torch.backends.mps.is_macos_or_newer(14, 0) else "on MPS, bf16-mixed needs macOS 14. Use fp32."
    if cpu_has_bf16():
        return None
    return "this processor has no bfloat16 (AVX512-BF16, AMX or ARM BF16), and emulation is slower. Use fp32."


def cpu_has_bf16() -> bool:
    """Whether the processor has bfloat16 instructions. Without them torch would emulate bfloat16."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        has_mkldnn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return has_mkldnn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())  # processors with AMX have it too


def scaled_step(scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer, *, report: bool) -> bool:
    """Takes a step with unscaled gradients, or skips it if some are not finite, and updates the loss scale.

    Fused kernels check this on the device; with other kernels, GradScaler synchronises once per step.

    Args:
        scaler: The scaler that has unscaled the gradients.
        optimizer: The optimizer.
        report: Whether the result is needed, which costs two syncs.

    Returns:
        Whether the step was taken; always True without `report`.
    """
    before = scaler.get_scale() if report else 0.0
    scaler.step(optimizer)
    scaler.update()
    # torch's schedulers check this flag: without it they warn if the first steps are skipped.
    optimizer._opt_called = True  # type: ignore[attr-defined]
    return not report or scaler.get_scale() >= before
