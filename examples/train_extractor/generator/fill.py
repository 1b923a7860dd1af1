"""Text beside the point: stock sentences, facts that nobody asks for, old values of facts that somebody does."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from pathlib import Path

from .library import Fact, Slot, all_slots, meanings, slots_like
from .pools import words
from .scribe import Scribe
from .values import make

_SPEC = re.compile(r"{([^{}]+)}")
_PLACEHOLDER = re.compile(r"{}")
_OLD = (
    "Previous {k}: {v}",
    "The old {k} ({v}) is no longer valid.",
    "Until now the {k} was {v}.",
    "Please ignore the {k} {v} of our last letter.",
    "{k} last year: {v}",
    "instead of {v}",
    "We first thought that the {k} was {v}.",
    "(formerly {v})",
    "Not {v}, as we wrote.",
)


@functools.cache
def _boilerplate() -> tuple[str, ...]:
    return tuple((Path(__file__).parent / "words" / "boilerplate.txt").read_text().splitlines())


def fill(rng: Scribe, template: str) -> str:
    """Choose in `(a|b)` and replace every {spec} by a value of it."""
    return _SPEC.sub(lambda match: make(rng, match[1]).text, rng.vary(template))


def stock_sentence(rng: Scribe) -> str:
    """A sentence that says nothing of note, at times one of random words."""
    if rng.chance(0.08):
        return words(rng, 4, 9).capitalize() + rng.choice((".", ".", "!", "?"))
    return fill(rng, rng.choice(_boilerplate()))


def unrelated(rng: Scribe, slots: Collection[Slot], roots: Collection[str]) -> Slot | None:
    """A slot that none of `slots` can be mistaken for, of one of these types mostly; None if luck was out."""
    taken = frozenset().union(*map(meanings, slots))
    for _ in range(12):
        pool = slots_like(rng.choice(sorted(roots))) if roots and rng.chance(0.7) else all_slots()
        slot = rng.choice(pool)
        if not taken & meanings(slot):
            return slot
    return None


def old_value(rng: Scribe, fact: Fact, label: str) -> str | None:
    """A remark on a former value of a fact, or None where the new one happens to be the same."""
    other = make(rng, fact.slot.spec).text
    if other == fact.shown.text or fact.shown.text in other or other in fact.shown.text:
        return None
    return rng.choice(_OLD).format(k=label, v=other)
