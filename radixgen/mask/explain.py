"""Where a text leaves a constraint, and what could have stood there instead, in words.

The text is stepped byte by byte through the machine. At the place where no step is left, the bytes that had one are
told as a person would: literals as far as they go without an alternative, characters by their kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from radixgen.automata.machine import ByteMachine, State

MOST_EXPECTED = 12
"""Alternatives that are told; the rest is counted."""
LONGEST_LITERAL = 60
FEW_BYTES = 8
"""Up to so many next bytes each is followed on its own; more are told as kinds of characters."""
END = "the end"


class Explanation(NamedTuple):
    """What becomes of a text. "unfinished": it is the beginning of one that fits."""

    outcome: Literal["accepted", "unfinished", "rejected"]
    place: int
    """Bytes of the text that the constraint takes."""
    expected: tuple[str, ...]
    """What could have stood at `place`; nothing for an accepted text."""

    def why(self, text: bytes) -> str:
        """One line for a person; empty for an accepted text."""
        if self.outcome == "accepted":
            return ""
        before, after = _shown(text[: self.place][-40:]), _shown(text[self.place :][:20])
        where = f"at byte {self.place}, after {before!r}" if self.place else "at the start"
        found = f"there is {after!r}" if after else "the text ends"
        return f"{where}: {found}; expected {one_of(self.expected)}"


def explain(machine: ByteMachine, text: bytes) -> Explanation:
    """Step `text` through the machine. Raises `ConstraintError` when a limit is crossed on the way."""
    state: State | None = machine.start()
    for place, byte in enumerate(text):
        assert state is not None
        after = machine.step(state, byte)
        if after is None:
            return Explanation("rejected", place, tuple(expected(machine, state)))
        state = after
    assert state is not None
    if machine.is_accepting(state):
        return Explanation("accepted", len(text), ())
    return Explanation("unfinished", len(text), tuple(expected(machine, state)))


def expected(machine: ByteMachine, state: State) -> list[str]:
    """What may come next, each in words; the end of the text last."""
    found = _alternatives(machine, state)
    told = list(dict.fromkeys(found))
    if len(told) > MOST_EXPECTED:
        told = [*told[:MOST_EXPECTED], f"{len(told) - MOST_EXPECTED} more"]
    return told


def one_of(alternatives: Iterable[str]) -> str:
    told = list(alternatives)
    return told[0] if len(told) == 1 else f"one of: {', '.join(told)}"


def _alternatives(machine: ByteMachine, state: State) -> list[str]:
    steps = _steps(machine, state)
    end = [END] if machine.is_accepting(state) else []
    if len(steps) > FEW_BYTES:
        return [*kinds(steps), *end]
    spaces = _SPACES & steps.keys() if len(_SPACES & steps.keys()) > 1 else frozenset()
    texts = [text for byte, after in steps.items() if byte not in spaces for text in _literals(machine, after, byte)]
    return texts + (["white space"] if spaces else []) + end


def _literals(machine: ByteMachine, state: State, first: int) -> list[str]:
    """The texts that begin with a byte, which leads to `state`, each as far as it goes without many alternatives.

    All of them grow together, a branching at a time, so that there are never more than can be told.
    """
    waiting, ended = [_Text(bytes([first]), state)], []
    while waiting:
        grown = [_straight(machine, text) for text in waiting]
        branches = [_branches(machine, text) for text in grown]
        ended += [text for text, after in zip(grown, branches, strict=True) if not after]
        waiting = [text for after in branches for text in after]
        if len(ended) + len(waiting) > MOST_EXPECTED:
            ended += [text for text, after in zip(grown, branches, strict=True) if after]
            break
    return [repr(_shown(text.text)) for text in sorted(ended, key=lambda one: one.text)]


class _Text(NamedTuple):
    text: bytes
    state: State
    """Behind it."""


def _straight(machine: ByteMachine, text: _Text) -> _Text:
    """The text as far as it goes without an alternative."""
    while len(text.text) < LONGEST_LITERAL and not machine.is_accepting(text.state):
        if text.text.endswith(b"\\"):
            break
        steps = _steps(machine, text.state)
        if len(steps) != 1:
            break
        byte, after = next(iter(steps.items()))
        text = _Text(text.text + bytes([byte]), after)
    return text


def _branches(machine: ByteMachine, text: _Text) -> list[_Text]:
    """The few texts that go on a word from here; nothing where it is over or many do."""
    if len(text.text) >= LONGEST_LITERAL or machine.is_accepting(text.state) or not text.text[-1:].isalnum():
        return []  # behind a backslash too: the many ways to escape a character say nothing
    steps = _steps(machine, text.state)
    return [_Text(text.text + bytes([byte]), after) for byte, after in steps.items()] if len(steps) <= FEW_BYTES else []


def _steps(machine: ByteMachine, state: State) -> dict[int, State]:
    found = ((byte, machine.step(state, byte)) for byte in range(256))
    return {byte: after for byte, after in found if after is not None}


def kinds(allowed: Iterable[int]) -> list[str]:
    """Many next bytes as kinds of characters: `any character but '"' and '\\'`, `a digit`, `'-'`."""
    left = set(allowed)
    printable = set(range(0x20, 0x7F))
    if len(printable & left) > len(printable) - 12:
        missing = " ".join(chr(byte) for byte in sorted(printable - left))
        return [f"any character but {missing}" if missing else "any character"]
    told = []
    for name, kind in _KINDS:
        if kind <= left:
            told.append(name)
            left -= kind
    if any(byte >= 0x80 for byte in left):
        told.append("a character beyond ASCII")
    return told + [repr(chr(byte)) for byte in sorted(left) if byte < 0x80]


_LOWER, _UPPER = frozenset(b"abcdefghijklmnopqrstuvwxyz"), frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS, _SPACES = frozenset(b"0123456789"), frozenset(b" \t\r\n")
_KINDS = (
    ("a letter", _LOWER | _UPPER),
    ("a lower-case letter", _LOWER),
    ("a capital letter", _UPPER),
    ("a digit", _DIGITS),
    ("a digit but 0", _DIGITS - {ord("0")}),
)


def _shown(text: bytes) -> str:
    return text.decode(errors="backslashreplace")
