"""Ids proposed by a sequence's own text: where its last ids stood before, the ids that followed are a draft.

    ids    ... a b c d e ......... a b c | d  e          one forward computes both behind the certain ids; what is
                     └─ followed ─┘      └ draft         drawn after `c` and after `d` says how much of it stands

A draft changes no output: each of its places is drawn as it would have been, with its own mask and its own noise, and
counts only while the sequence has come to exactly the ids that were computed there. (Saxena 2023, prompt lookup.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from radixgen.scheduler.ports import Matcher

if TYPE_CHECKING:
    from radixgen.scheduler.sequence import Sequence

MOST_DRAFTED = 5
"""Of a whole path: with the id drawn last, a row that an attention kernel still counts as short."""
FIRST_DRAFTED = 2
LOOKED_FOR = 4
"""Ids. Of what followed four ids 86 in a hundred came true on the demo's records, of what followed two or three 31."""
ID_BITS = 20
ENDING = (1 << ID_BITS * LOOKED_FOR) - 1
MOST_REST = 4
"""Steps."""


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
    """How many ids to draft: one more than came true the last time. After a draft of which nothing did it rests: one
    step, then two, four ... MOST_REST, until something comes true; and two steps where there was nothing to draft from.

    So few, because a computed id that falls costs a third of a step of its row, and every second one falls.
    """

    __slots__ = ("_most", "_rest", "_rested")

    def __init__(self) -> None:
        self._most = FIRST_DRAFTED
        self._rest = 0
        self._rested = 0

    def ask(self) -> int:
        """The most ids to draft in this step; 0 while it rests."""
        if self._rested < self._rest:
            self._rested += 1
            return 0
        self._rested = 0
        return self._most

    def learn(self, proposed: int, accepted: int) -> None:
        """Of a draft, and with nothing proposed of a step without one."""
        if accepted:
            self._rest = 0
            self._most = accepted + 1 if accepted < proposed else min(MOST_DRAFTED, max(self._most, accepted + 1))
        elif proposed:
            self._rest = min(MOST_REST, 2 * self._rest or 1)
            self._most = 1
        else:
            self._rest = max(self._rest, 2)


class History:
    """A sequence's ids, and where any LOOKED_FOR of them stood last.

        ids     a b c d e f a b c d         `place` is where the last four ended before; the draft: e f, and then, as if
                      └ place               the text repeated itself, a b c d

    A step costs the same however long the text is.
    """

    __slots__ = ("_ending", "_last", "ids", "place")

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.place = -1
        """Where the last ids ended before; -1: nowhere."""
        self._ending = ENDING
        """The last ids as one number, ID_BITS each; that larger ids look like others costs a draft and nothing else."""
        self._last: dict[int, int] = {}

    def extend(self, ids: Iterable[int]) -> None:
        """Ids that follow."""
        known, last, ending, place = self.ids, self._last, self._ending, self.place
        for one in ids:
            ending = (ending << ID_BITS ^ one) & ENDING
            place = last.get(ending, -1)
            last[ending] = len(known)
            known.append(one)
        self._ending, self.place = ending, place

    def continuation(self, most: int) -> list[int]:
        """What followed the last LOOKED_FOR ids where these stood last; at most `most` ids, none if they never did."""
        if self.place < 0:
            return []
        begin, period = self.place + 1, len(self.ids) - 1 - self.place
        return [self.ids[begin + offset % period] for offset in range(most)]


def make_path(source: list[int], matcher: Matcher | None, eos_ids: Collection[int], most: int) -> Path:
    """As much of a draft as the grammar lets pass, with what it forces in between; at most `most` ids."""
    wanted = source[:most]
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
    most = seq.appetite.ask()
    if not most:
        return None
    history, known = seq.history, len(seq.history.ids)
    history.extend((seq.ids.item(known),) if known == seq.num_ids - 1 else seq.ids[known : seq.num_ids].tolist())
    if history.place < 0:
        seq.appetite.learn(0, 0)
        return None
    room = min(room, seq.num_left - 1, MOST_DRAFTED)
    source = history.continuation(min(most, room))
    if not source:
        return None
    path = make_path(source, seq.matcher, eos_ids, room)
    return path if path.ids else None
