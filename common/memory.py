"""Memory for a model: how much is free, having the weights there, giving back what was used. Knows nothing of what
models do."""

from __future__ import annotations

import ctypes
from itertools import chain
from pathlib import Path

import psutil
import torch

from common.lent_gpu import lent

_CGROUP = Path("/sys/fs/cgroup")  # a container's own limit, which the machine's figures do not show

# Bytes. The processor time of a question is 5 % more with this; with an eighth of it, for a sixth less memory, 60 %.
_LARGE = 8 << 20
_M_MMAP_THRESHOLD = -3  # of mallopt, in glibc's malloc.h


def give_back_large_blocks() -> bool:
    """Has glibc give large blocks back to the system when they are freed, and returns whether it does. By itself it
    takes a block that was freed as a reason to keep others of its size, in a heap of each thread. Other C libraries are
    left alone."""
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE))
    except (AttributeError, OSError, TypeError):
        return False


def in_memory(model: torch.nn.Module) -> None:
    """Copies weights on the CPU, one after another: those of a checkpoint may be read from its files as they lie on
    disk, and a file that is cut short while it is in use would kill the process."""
    for weights in chain(model.parameters(), model.buffers()):
        if weights.device.type == "cpu":
            weights.data = weights.data.clone()


def free_bytes(device: torch.device) -> int:
    """Bytes that a program could still take on a CPU (within its container) or a CUDA device."""
    if device.type == "cuda":
        if lent():  # which is not here to be asked, but known
            return torch.cuda.get_device_properties(device).total_memory
        return torch.cuda.mem_get_info(device)[0]
    free = psutil.virtual_memory().available
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        # Pages of files count as used and are given back when they are needed.
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return min(free, limit - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):  # no such limit: "max", or no control groups
        return free
