"""exp over a buffer, as a loop that the compiler turns into vector code; libm's is one call a number."""

from __future__ import annotations

import numpy as np

from radixgen.kernels.jit import compiled

LOG2_E = np.float32(1.44269504)
LEAST_EXPONENT = np.float32(-126.0)
# 2^y on [-0.5, 0.5]: the series of exp(y·ln 2) to degree 6, relative error 1.2e-7
C1, C2, C3 = np.float32(0.693147181), np.float32(0.240226507), np.float32(0.0555041087)
C4, C5, C6 = np.float32(0.00961812911), np.float32(0.00133335581), np.float32(0.000154035304)
ONE, ZERO, LOWEST = np.float32(1.0), np.float32(0.0), np.float32(-3.0e38)


@compiled
def exponentials(x, bits, width, shift):  # type: ignore[no-untyped-def]
    """x[i] = exp(x[i] - shift) for x[i] <= shift, i < width; returns their sum. `bits` is x's memory as int32."""
    for i in range(width):
        power = max((x[i] - shift) * LOG2_E, LEAST_EXPONENT)
        whole = np.floor(power + np.float32(0.5))
        y = power - whole
        x[i] = ONE + y * (C1 + y * (C2 + y * (C3 + y * (C4 + y * (C5 + y * C6)))))
        bits[i] += np.int32(whole) << 23
    total = ZERO
    for i in range(width):
        total += x[i]
    return total
