"""A pushdown byte machine of a few lines, and one that quotes a text: what the mask engine is tested with."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np

from radixgen.automata.machine import DEAD, NOTHING, SEVERAL, UNKNOWN, Scalar
from radixgen.automata.single import regex_machine
from radixgen.automata.table import Automaton

Item = "str | Regex"
Rules = dict[str, list[list[str]]]


@cache
def automaton(pattern: str):
    return regex_machine(pattern).scalars(0)[0].automaton


class ToyMachine:
    """Rules of items, an item being the name of a rule or "/pattern/". A state is a frozen set of stacks.

    A stack is ((automaton, q), item, item, ...); the empty one is the end of the text.
    """

    def __init__(self, rules: Rules, extra: dict[str, object] | None = None) -> None:
        self._rules = rules
        self._extra = extra or {}
        self._shortest: dict[str, bytes] = {}
        for _ in range(10):
            for name in rules:
                found = [self._spelled(items) for items in rules[name]]
                known = [one for one in found if one is not None]
                if known:
                    self._shortest[name] = min(known, key=len)

    def start(self):
        return self._opened(["start"])

    def step(self, state, byte):
        found = set()
        for stack in state:
            if stack:
                (table, q), *rest = stack
                after = table.step(q, byte)
                if after != DEAD:
                    found |= self._closed(((table, after), *rest))
        return frozenset(found) or None

    def is_accepting(self, state):
        return () in state

    def completion(self, state):
        return min((self._stack_completion(stack) for stack in state), key=len)

    def scalars(self, state):
        return tuple(
            Scalar(stack[0][0], stack[0][1], self._opened(stack[1:]) if stack[1:] else None)
            for stack in sorted(state, key=repr)
            if stack
        )

    def _stack_completion(self, stack):
        if not stack:
            return b""
        return stack[0][0].completion(stack[0][1]) + self._spelled(stack[1:])

    def _spelled(self, items: Iterable[str]) -> bytes | None:
        parts = []
        for item in items:
            if item in self._rules:
                parts.append(self._shortest.get(item))
            else:
                parts.append(self._automaton(item).completion(0))
        return None if None in parts else b"".join(parts)

    def _automaton(self, item: str):
        return self._extra[item] if item in self._extra else automaton(item[1:-1])

    def _opened(self, items) -> frozenset:
        if not items:
            return frozenset([()])
        first, *rest = items
        found = set()
        if first in self._rules:
            for alternative in self._rules[first]:
                found |= self._opened([*alternative, *rest])
        else:
            found = self._closed(((self._automaton(first), 0), *rest))
        return frozenset(found)

    def _closed(self, stack) -> set:
        table, q = stack[0]
        return {stack} | (self._opened(stack[1:]) if table.accepting[q] else set())


class Places(NamedTuple):
    text: np.ndarray
    positions: np.ndarray
    may_end: np.ndarray
    gaps: np.ndarray


class QuoteAutomaton(Automaton):
    """A JSON string that quotes `text` from word border to word border."""

    kind, growth, has_parts = "table", 64, False

    def __init__(self, text: bytes) -> None:
        self.text = np.frombuffer(text, np.uint8)
        borders = [i for i in range(1, len(text) + 1) if i == len(text) or text[i : i + 1] == b" "]
        self.may_end = np.zeros(len(text) + 1, np.uint8)
        self.may_end[borders] = 1
        ends = np.flatnonzero(self.may_end)
        self.gaps = (ends[np.searchsorted(ends, np.arange(len(text) + 1))] - np.arange(len(text) + 1) + 1).astype(
            np.int32
        )
        starts = [i for i in range(len(text)) if i == 0 or text[i - 1 : i] == b" "]
        self._keys: list[tuple[int, ...] | str] = ["start"]
        self._starts = tuple(starts)
        self.table = np.full((1, 256), UNKNOWN, np.int32)
        self.accepting = np.zeros(1, np.uint8)

    def text_index(self, q: int) -> Places | None:
        key = self._keys[q]
        if isinstance(key, str):
            return None
        return Places(self.text, np.array(key, np.int32), self.may_end, self.gaps)

    def expand(self, q: int) -> None:
        key, row = self._keys[q], np.full(256, DEAD, np.int32)
        if key == "start":
            row[34] = self._state(self._starts)
        elif not isinstance(key, str):
            for byte in {int(self.text[p]) for p in key if p < len(self.text)}:
                row[byte] = self._state(tuple(p + 1 for p in key if p < len(self.text) and self.text[p] == byte))
            if any(self.may_end[p] for p in key):
                row[34] = self._state("end")
        self.table[q] = row

    def completion(self, q: int) -> bytes:
        key = self._keys[q]
        if key == "end":
            return b""
        here = self._starts if isinstance(key, str) else key
        best = min(here, key=lambda p: self.gaps[p])
        return b'"' * (key == "start") + bytes(self.text[best : best + self.gaps[best] - 1]) + b'"'

    def step(self, q: int, byte: int) -> int:
        if self.table[q, 0] == UNKNOWN:
            self.expand(q)
        return int(self.table[q, byte])

    def ends(self, q: int) -> bool:
        return bool(self.accepting[q])

    def only_byte(self, q: int) -> int:
        live = [byte for byte in range(256) if self.step(q, byte) != DEAD]
        return live[0] if len(live) == 1 else SEVERAL if live else NOTHING

    def source_span(self, q: int, value: bytes) -> tuple[int, int]:
        start = bytes(self.text).index(value[1:-1])
        return start, start + len(value) - 2

    def _state(self, key) -> int:
        if key not in self._keys:
            self._keys.append(key)
            self.table = np.concatenate([self.table, np.full((1, 256), UNKNOWN, np.int32)])
            self.accepting = np.append(self.accepting, np.uint8(key == "end"))
        return self._keys.index(key)


STRING, NUMBER = r'/"[^"\\\x00-\x1f]*"/', r"/-?(0|[1-9][0-9]*)(\.[0-9]+)?/"

GRAMMARS: dict[str, Rules] = {
    "list of numbers": {
        "start": [["/\\[/", "items", "/\\]/"]],
        "items": [[], [NUMBER, "more"]],
        "more": [[], ["/,/", NUMBER, "more"]],
    },
    "nested": {
        "start": [[STRING], ["/\\[/", "items", "/\\]/"]],
        "items": [[], ["start", "more"]],
        "more": [[], ["/,/", "start", "more"]],
    },
    "record": {
        "start": [['/\\{"name":/', STRING, '/,"id":/', NUMBER, "tag", '/,"value":/', "value", "/\\}/"]],
        "tag": [[], ['/,"tag":/', '/"(red|green)"/']],
        "value": [["/null/"], ["/true|false/"], [STRING], ["/\\[/", NUMBER, "/\\]/"]],
    },
    "optional bits": {"start": [["/a?/", "/(ab)*/", "/b?/", "/c?/", STRING, "/1?/"]]},
    "ambiguous": {"start": [["/(a|ab)(c|bcd)?/", "start", "/d?/"], ["/,/"], ['/"/', '/[a-z"]*/', '/",/']]},
    "counted": {
        "start": [['/\\{"date":/', '/"[0-9]{4}-[0-9]{2}-[0-9]{2}"/', '/,"na":/', '/"[^"\\\\]{3,9}"/', "/\\}/"]]
    },
}

DOCUMENT = b"Acme Corp 12 Rd. Acme the name total 123 Corp"
QUOTING: Rules = {
    "start": [['/\\{"name":/', "quote", '/,"tag":/', "either", "/\\}/"]],
    "either": [["quote"], ["/null/"]],
}


def toy_machine(name: str) -> ToyMachine:
    if name == "quoting":
        return ToyMachine(QUOTING, {"quote": QuoteAutomaton(DOCUMENT)})
    return ToyMachine(GRAMMARS[name])


NAMES = [*GRAMMARS, "quoting"]
