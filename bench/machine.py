"""What the machine can do at most, measured, and what it is: a figure without these two says little.

Imports torch; call `set_threads` before anything else does, since OpenMP reads its setting once.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MATMUL_SIZE = 1024
COPY_BYTES = 128 << 20


class Machine(NamedTuple):
    """The processor and its two ceilings at the number of threads in use."""

    processor: str
    num_threads: int
    matmul_gflops: float
    """float32 matrix product, GFLOP/s."""
    memory_gbps: float
    """Copying, GB/s read plus written."""
    load: float
    """Processes that wanted a core in the minute before; above 0.5 a time is not to be trusted."""

    def lines(self) -> str:
        return (
            f"machine: {self.processor}, {self.num_threads} threads, load {self.load:.2f} before; "
            f"ceilings: matmul {self.matmul_gflops:.0f} GFLOP/s float32, memory {self.memory_gbps:.0f} GB/s"
        )


def set_threads(num_threads: int) -> None:
    """Threads of everything in this process and of those it starts; before the first import of torch."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(num_threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def measure(num_threads: int) -> Machine:
    """Under a second; the best of several tries each."""
    load = os.getloadavg()[0]
    import torch

    torch.set_num_threads(num_threads)
    a, b = torch.randn(2, MATMUL_SIZE, MATMUL_SIZE)
    out = torch.empty_like(a)
    matmul_s = best_of(8, lambda: torch.mm(a, b, out=out))
    source = torch.ones(COPY_BYTES // 4)
    target = torch.empty_like(source)
    copy_s = best_of(5, lambda: target.copy_(source))
    return Machine(_processor(), num_threads, 2 * MATMUL_SIZE**3 / matmul_s / 1e9, 2 * COPY_BYTES / copy_s / 1e9, load)


def best_of(tries: int, work: Callable[[], object]) -> float:
    """Seconds of the quickest of some tries."""
    return min(seconds(work) for _ in range(tries))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
