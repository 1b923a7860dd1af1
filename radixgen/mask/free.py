"""Text without a constraint that begins in the middle of a token: only its first ids have a mask that says anything."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from radixgen.errors import RequestFailed
from radixgen.mask.index import Int32, TokenIndex, pack_ids
from radixgen.mask.matcher import MaskFill

Bits = npt.NDArray[np.uint32]


class FreeMatcher:
    """A scheduler's matcher that lets everything pass once `prefix` is written; an id may run past its end."""

    closed: tuple[str, ...] = ()
    is_finished = False

    def __init__(self, index: TokenIndex, prefix: bytes, *, ignore_eos: bool) -> None:
        """ignore_eos: no id that ends the text is allowed."""
        self._index = index
        self._ignore_eos = ignore_eos
        self._rests = [prefix]
        """What of the prefix is left, at the start and after each id."""

    def fill_mask(self, row: Bits, wide: Bits | None = None) -> MaskFill:
        rest = self._rests[-1]
        if rest:
            ids = find_beginning(self._index, rest)
            row[:] = 0
            row[: self._index.num_words] = pack_ids(ids, self._index.num_words)
            return MaskFill(len(ids), False)
        row[:] = 0xFFFFFFFF
        if self._ignore_eos:
            row[: self._index.num_words] &= ~self._index.eos_bits
        return MaskFill(self._index.vocab_size, False)

    def advance(self, token_id: int) -> None:
        rest = self._rests[-1]
        data = self._index.token_bytes[token_id] if token_id < self._index.vocab_size else b""
        if rest and not (data and (rest.startswith(data) or data.startswith(rest))):
            raise RequestFailed(f"token id {token_id} does not go on with {rest!r}: sampled without its mask")
        self._rests.append(rest[len(data) :])

    def rollback(self, num_tokens: int) -> None:
        if num_tokens:
            del self._rests[-num_tokens:]

    def forced(self) -> list[int]:
        return []

    def note_cut(self) -> None:
        """Free text may be cut anywhere."""

    def fork(self) -> FreeMatcher:
        """A matcher in the same place that goes its own way."""
        other = FreeMatcher(self._index, b"", ignore_eos=self._ignore_eos)
        other._rests = self._rests[:]
        return other


def find_beginning(index: TokenIndex, text: bytes) -> Int32:
    """The ids whose bytes begin `text`, or begin with it."""
    found, node = [np.empty(0, np.int32)], 0
    for byte in text:
        children = index.child[index.first_child[node] : index.first_child[node + 1]]
        node = next((int(one) for one in children if index.byte[one] == byte), 0)
        if not node:
            break
        found.append(index.token[node : node + 1])
    else:
        found.append(index.token[node + 1 : index.skip[node]])
    ids = np.concatenate(found)
    ids = ids[ids >= 0]
    twins = index.alias[np.isin(index.alias[:, 0], ids), 1]
    return np.concatenate([ids, twins])
