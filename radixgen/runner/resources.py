"""What a runner may take of the machine: threads and the memory of its KV pool."""

from __future__ import annotations

import os
from pathlib import Path

import torch

CPU_POOL_BYTES = 2 << 30
"""A CPU's pool is no larger by itself: more slots than this serves are rarely worth the memory of a shared machine."""
MOST_SLOTS = 1 << 20
"""A tiny model's pool has no more: bookkeeping by slot would cost more than it saves."""


def usable_threads() -> int:
    """CPUs that this process may use: its affinity, and its control group's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(count, _quota() or count))


def _quota() -> int | None:
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if limit == "max" else -(-int(limit) // int(period))
    except (OSError, ValueError):
        return None


def pool_bytes(device: torch.device, share: float) -> int:
    """Bytes that the KV pool may take: `share` of what is free on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * share)
    return min(int(_free_memory() * share), CPU_POOL_BYTES)


def _free_memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        names = os.sysconf_names
        pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in names else "SC_PHYS_PAGES"
        return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
