"""Where training runs, and in which precision: devices and processes from Accelerate, the rest decided here."""

import accelerate
import torch
from accelerate.utils import GradientAccumulationPlugin


def make_accelerator() -> accelerate.Accelerator:
    """Accelerate's devices, processes and backward, with its own mixed precision and accumulation switched off.

    It takes both from environment variables and from any earlier Accelerator of the process, without a word, and one
    process can't make a second one with another precision: so both are ours.
    """
    accelerator = accelerate.Accelerator(gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1))
    accelerator.native_amp, accelerator.scaler = False, None
    return accelerator


def has_native_bf16(device: torch.device) -> bool:
    """Whether bfloat16 products run in hardware there, and so are worth their rounding."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
