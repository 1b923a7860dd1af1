"""x @ W.T + b with weights laid out once for the machine.

On x86 oneDNN's packed weights are 1.5 to 2.4 times as fast as F.linear from about 8 rows on (measured on Zen 4 and Zen
5 in float32), and not much slower at one. Where torch was built without oneDNN, F.linear it is.
"""

from __future__ import annotations

import torch

HINT_ROWS = 64
SMALL_ROWS = (1, 2, 4, 8)
TILE_ROWS = 64
"""A tiled product is made of products of so many rows, so no row can depend on how many there are."""


def padded_rows(num_rows: int, device: torch.device, *, is_tiled: bool = False) -> int:
    """How many rows to multiply for `num_rows` that are wanted.

    oneDNN generates code for every number of rows that it has not seen, 0.5 ms for each shape of weight (measured on
    Zen 5): more than a decode step's product itself. So a CPU's rows come in steps of at most an eighth.
    """
    if is_tiled:
        return -(-num_rows // TILE_ROWS) * TILE_ROWS
    if device.type != "cpu":
        return num_rows
    for size in SMALL_ROWS:
        if num_rows <= size:
            return size
    step = max(8, 1 << (num_rows.bit_length() - 4))
    return -(-num_rows // step) * step


class Linear:
    """A fixed weight [out, in], with its bias or None."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        *,
        may_pack: bool = True,
        is_tiled: bool = False,
    ) -> None:
        """is_tiled: multiply TILE_ROWS rows at a time; T is then a multiple of it."""
        self.weight, self.bias = weight, bias
        self._is_tiled = is_tiled
        self._packed = packed(weight) if may_pack else None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x [T, in] -> [T, out]."""
        if not self._is_tiled or len(x) <= TILE_ROWS:
            return self._multiply(x)
        return torch.cat([self._multiply(tile) for tile in x.split(TILE_ROWS)])

    def _multiply(self, x: torch.Tensor) -> torch.Tensor:
        if self._packed is None:
            return torch.nn.functional.linear(x, self.weight, self.bias)
        return torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")

    def release_plain(self) -> None:
        """Forget the weight as it came, when a packed copy stands in for it."""
        if self._packed is not None:
            self.weight = self.weight.new_empty(0)


def packed(weight: torch.Tensor) -> torch.Tensor | None:
    """oneDNN's own layout of a CPU weight; None where that is not to be had."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return None
    try:
        return torch.ops.mkldnn._reorder_linear_weight(weight, HINT_ROWS)
    except (AttributeError, RuntimeError):  # private operators: they may move or refuse a dtype
        return None
