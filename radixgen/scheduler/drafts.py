"""Ids proposed by a sequence's own text: where its last ids stood before, the ids that followed are a draft.

    ids    ... a b c d e ......... a b c | d  e          one forward computes both behind the certain ids; what is
                     └─ followed ─┘      └ draft         drawn after `c` and after `d` says how much of it stands

A draft changes no output: each of its places is drawn as it would have been, with its own mask and its own noise, and
counts only while the sequence has come to exactly the ids that were computed there. (Saxena 2023, prompt lookup.)
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from radixgen.runner.plan import Int32
from radixgen.scheduler.ports import Matcher

if TYPE_CHECKING:
    from radixgen.scheduler.sequence import Sequence

MOST_DRAFTED = 8
MOST_IDS = 5
"""Of a whole path: with the id drawn last, a row that an attention kernel still counts as short."""
FIRST_DRAFTED = 2
LONGEST = 4
"""Ids that are looked for."""
NOTHING = np.empty(0, dtype=np.int32)


class Path(NamedTuple):
    """Ids behind the certain ones."""

    ids: list[int]
    ends: list[int]
    """ids[:ends[i]] are certain once the first i + 1 drafted ids are: those, and what the grammar forces after them."""

    def drafted(self, place: int) -> int:
        """The place-th drafted id."""
        return self.ids[self.ends[place - 1] if place else 0]

    def segment(self, place: int) -> list[int]:
        """The place-th drafted id and what is forced after it."""
        return self.ids[self.ends[place - 1] if place else 0 : self.ends[place]]


NO_DRAFT = Path([], [])


class Appetite:
    """How many ids to draft: one more than came true the last time; none once after nothing did.

    So few, because a computed id that falls costs a third of a step of its row, and every second one falls.
    """

    __slots__ = ("_is_resting", "_most")

    def __init__(self) -> None:
        self._most = FIRST_DRAFTED
        self._is_resting = False

    def ask(self) -> int:
        """The most ids to draft in this step; 0 while it rests."""
        if self._is_resting:
            self._is_resting = False
            return 0
        return self._most

    def learn(self, proposed: int, accepted: int) -> None:
        if accepted < proposed:
            self._most = accepted + 1
            self._is_resting = not accepted
        else:
            self._most = min(MOST_DRAFTED, max(self._most, accepted + 1))


def find_continuation(ids: Int32, most: int) -> Int32:
    """The ids that followed the last LONGEST ids, or as many of them as stood before but at least two, when these stood
    there last; at most `most`."""
    places, length = np.flatnonzero(ids[:-1] == ids[-1:]), 1
    while length < LONGEST:
        longer = places[places >= length]
        longer = longer[ids[longer - length] == ids[-1 - length]] if len(longer) else longer
        if not len(longer):
            break
        places, length = longer, length + 1
    return ids[places[-1] + 1 :][:most] if length > 1 else NOTHING


def make_path(source: Int32, matcher: Matcher | None, eos_ids: Collection[int], most: int) -> Path:
    """As much of a draft as the grammar lets pass, with what it forces in between; at most `most` ids."""
    wanted = source[:most].tolist()
    wanted = wanted[: next((at for at, token_id in enumerate(wanted) if token_id in eos_ids), len(wanted))]
    if matcher is None:
        return Path(wanted, list(range(1, len(wanted) + 1)))
    path, advanced = Path([], []), 0
    try:
        while len(path.ids) < len(wanted) and not matcher.is_finished:
            token_id = wanted[len(path.ids)]
            matcher.advance(token_id)
            advanced += 1
            segment = [token_id] if matcher.is_finished else [token_id, *matcher.forced()]
            if matcher.is_finished or len(path.ids) + len(segment) > most:
                break
            for forced in segment[1:]:
                matcher.advance(forced)
                advanced += 1
            path.ids.extend(segment)
            path.ends.append(len(path.ids))
            if path.ids != wanted[: len(path.ids)]:
                break
    except Exception:  # what the grammar does not allow ends the draft; if it is broken, the draw itself will say so
        pass
    finally:
        matcher.rollback(advanced)
    return path


def propose(seq: Sequence, eos_ids: Collection[int], room: int) -> Path | None:
    """A draft of at most `room` ids for a sequence, or None: nothing is worth trying."""
    most = seq.appetite.ask() if room > 0 else 0
    source = find_continuation(seq.ids[: seq.num_ids], most) if most else NOTHING
    if not len(source):
        return None
    path = make_path(source, seq.matcher, eos_ids, min(room, MOST_IDS))
    return path if path.ids else None
