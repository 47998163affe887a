"""Half precision: layers compute in 16 bits under torch.autocast; weights, losses and metrics stay float32."""

from __future__ import annotations

import platform
from collections.abc import Callable

import torch
from torch import Tensor

DTYPES = {"bf16-mixed": torch.bfloat16, "fp16-mixed": torch.float16}
"""By `train.precision`; fp32 is none of them, and costs nothing."""

SMALLEST_SCALE = 1e-4
"""Of a loss: gradients that overflow even so are no matter of the scale (fairseq's limit too)."""


class Autocast:
    """Calls a network under torch.autocast: (N, *) -> float32 outputs, on which losses and metrics are exact.

    Args:
        network: What is called.
        device: Where it is.
        dtype: bfloat16 or float16, of what autocast gains by: products of matrices, convolutions, recurrent cells.
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
    """Why a device does not train in a precision, and what to do; None if it does."""
    if precision == "fp16-mixed" and device.type != "cuda":
        return f"fp16-mixed needs CUDA, got {device.type}. Use bf16-mixed or fp32."
    if precision != "bf16-mixed":
        return None
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        if torch.version.hip or found.major >= 8:
            return None
        return (
            f"{found.name} has no bfloat16 (compute capability {found.major}.{found.minor}, 8.0 has). Use fp16-mixed."
        )
    if device.type == "mps":
        return None if torch.backends.mps.is_macos_or_newer(14, 0) else "on MPS, bf16-mixed needs macOS 14. Use fp32."
    if cpu_has_bf16():
        return None
    return "this processor has no bfloat16 (AVX512-BF16, AMX or ARM's BF16), and emulation is slower. Use fp32."


def cpu_has_bf16() -> bool:
    """Whether the processor itself multiplies bfloat16. On others torch would emulate it."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        has_mkldnn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        return has_mkldnn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())  # all that have AMX have it too


def scaled_step(scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer, *, tell: bool) -> bool:
    """A step with gradients that were unscaled, left out where some are not finite; the scale moves on.

    Fused kernels look at that on the device; for others GradScaler itself waits once a step.

    Args:
        scaler: Has unscaled the gradients.
        optimizer: Moves the weights.
        tell: Whether the answer matters: it waits for the device twice.

    Returns:
        Whether the step was taken; True where that does not matter.
    """
    before = scaler.get_scale() if tell else 0.0
    scaler.step(optimizer)
    scaler.update()
    # torch's own note that a schedule may move now: else it warns where the first steps are left out.
    optimizer._opt_called = True  # type: ignore[attr-defined]
    return not tell or scaler.get_scale() >= before
