"""Where a model runs, by the memory that it needs and the memory that is free. Knows nothing of what models do."""

from __future__ import annotations

import torch

from common.lent_gpu import lent
from common.memory import free_bytes
from common.problems import Problem
from retriever.encoders.registry import PROFILES

WORKING_BYTES = 1 << 30  # beside a model's weights: libraries, activations, a batch of passages


def memory_need(parameters: int, device: torch.device) -> int:
    """Bytes that a model of so many parameters takes to run: float32 on a CPU, bfloat16 elsewhere."""
    return parameters * (4 if device.type == "cpu" else 2) + WORKING_BYTES


def device_with_room(parameters: int, lendable: bool = False) -> torch.device | None:
    """The GPU if a model of so many parameters fits there, else the CPU; None if it fits nowhere. lendable: whether the
    model can do with a GPU that is lent call by call."""
    cpu = torch.device("cpu")
    there = torch.cuda.is_available() and (lendable or not lent())
    for device in [torch.device("cuda"), cpu] if there else [cpu]:
        if memory_need(parameters, device) <= free_bytes(device):
            return device
    return None


def device_for(profile: str, parameters: int) -> torch.device:
    """The GPU if the model fits there, else the CPU. Raises Problem if it fits nowhere."""
    if (device := device_with_room(parameters, lendable=True)) is not None:
        return device
    cpu = torch.device("cpu")
    need, free = memory_need(parameters, cpu) / 1e9, free_bytes(cpu) / 1e9
    smallest, *others = sorted(PROFILES.values(), key=lambda each: each.parameters)
    smaller = [smallest, *(each for each in others if memory_need(each.parameters, cpu) <= free_bytes(cpu))]
    raise Problem(
        f"The profile {profile} needs about {need:.1f} GB of memory and {free:.1f} GB are free; close other programs "
        f"or choose a smaller one: {', '.join(each.name for each in smaller)}."
    )
