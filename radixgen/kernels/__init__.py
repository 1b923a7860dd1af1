"""The operations of a forward and of sampling: the slow, obvious torch version of each beside its fast ones.

    ops.py ── which version runs ──►  reference (torch, any device and dtype)
                                      CPU, float32: numba kernels on the slots as they lie, packed oneDNN weights
                                      GPU: Triton for attention, imported only there

Job: arithmetic on arrays. Invariant: every fast version agrees with the reference in its file, which tests compare.
Knows arrays and slots; nothing of checkpoints, plans or requests. Imports no other part.
"""

import os

# torch's OpenMP threads spin for milliseconds after each of their loops, on the cores that our own threads need for
# attention. 1000 spins bridge the gap between two torch calls (measured: the matmuls keep their speed, attention on two
# threads takes half as long). Without effect if torch is loaded already.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
