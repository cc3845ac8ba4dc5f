"""Where training runs: devices and processes from Accelerate, and whether bfloat16 is worth it there."""

import os

import accelerate
import torch
from accelerate.utils import DistributedType, GradientAccumulationPlugin, parse_flag_from_env


def join_processes() -> accelerate.PartialState:
    """The processes that a launcher started, joined: by NCCL between GPUs, by gloo on a machine without one.

    Raises ValueError where Accelerate leaves each of them believing that it is alone: all would write the same files.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    # Accelerate joins no processes on CPUs unless it is told that they are meant to run there.
    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or (started > 1 and not torch.accelerator.is_available())
    state = accelerate.PartialState(cpu=on_cpu)
    if state.num_processes != started:
        raise ValueError(f"{started} processes were started, and {state.num_processes} can work together here: start "
                         "one process for each GPU, or set ACCELERATE_USE_CPU=1 to run them on the CPU")
    return state


def make_accelerator() -> accelerate.Accelerator:
    """Accelerate's devices, processes and backward, with its own mixed precision and accumulation switched off.

    It takes both from environment variables and from any earlier Accelerator of the process, without a word, and one
    process can't make a second one with another precision: so both are ours.
    """
    join_processes()
    accelerator = accelerate.Accelerator(gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1))
    if accelerator.distributed_type not in (DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU):
        raise ValueError(f"{accelerator.distributed_type} splits the weights between processes, and a checkpoint would "
                         "hold a part of them: launch with --multi_gpu")
    accelerator.native_amp, accelerator.scaler = False, None
    return accelerator


def has_native_bf16(device: torch.device) -> bool:
    """Whether bfloat16 products run in hardware there, and so are worth their rounding."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
