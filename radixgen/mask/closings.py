"""Where tokens end a string, and with which text: what a string less some texts must not end with."""

from __future__ import annotations

import json

from radixgen.automata.minus import Begun
from radixgen.mask.index import Int32, TokenIndex

_QUOTE = ord('"')


class Closings:
    """The nodes below some others at which a plain string ends, by what tokens write of it up to there."""

    def __init__(self, index: TokenIndex, nodes: Int32, ends: Int32, *, is_whole: bool) -> None:
        """is_whole: no character has begun at `nodes`."""
        self._by_bytes = [
            (index.text(end)[index.depth[node] :], end)
            for node in nodes.tolist()
            for end in ends[(ends > node) & (ends < index.skip[node])].tolist()
        ]
        self._by_text: dict[str, list[int]] = {}
        for data, end in self._by_bytes if is_whole else ():
            self._by_text.setdefault(_read(data), []).append(end)

    def find(self, begun: Begun) -> list[int]:
        """The nodes at which one of the texts has just ended."""
        if begun.half:
            return [end for data, end in self._by_bytes if _read(begun.half + data) in begun.rests]
        by_text = self._by_text
        rests = by_text.keys() & begun.rests if isinstance(begun.rests, frozenset) else begun.rests
        return [end for rest in rests for end in by_text.get(rest, ())]


def _read(data: bytes) -> str:
    return str(json.loads(data if data[0] == _QUOTE and len(data) > 1 else b'"' + data))
