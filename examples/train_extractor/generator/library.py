"""Reads facts/*.txt and kinds/*.txt: what documents can state, and which facts go together.

    == fact | value spec                      facts/*.txt
    n field name, field name, ...             d description; description
    l label on forms; label                   s sentence with {} || another sentence

    == kind                                   kinds/*.txt
    ! title; title                            + facts of the library that it may state
    @ head=fact to=fact sign=fact foot=a,b top=a       where they may stand without a label
    slot | value spec | names | description   a fact of its own
    ~ wording with {slot} || another wording of the same facts

`(a|b)` anywhere but in a spec stands for either. The last name, label and sentence of a fact and the last wording of
a group are kept from training (`Split`).
"""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from .shown import Shown

FOLDER = Path(__file__).parent
_GROUP = re.compile(r"\(([^()]*\|[^()]*)\)")
HOLE = re.compile(r"{(\w+)}")


class Split(Enum):
    """Which wordings and field names an example may use."""

    TRAIN = "train"
    WORDINGS = "wordings"  # only wordings and labels kept from training
    NAMES = "names"  # only field names kept from training
    ALL = "all"  # kinds that training never sees


def expand(pattern: str) -> tuple[str, ...]:
    """Every text that a pattern with `(a|b)` stands for."""
    pieces = _GROUP.split(pattern)
    choices = [piece.split("|") if i % 2 else [piece] for i, piece in enumerate(pieces)]
    return tuple("".join(parts) for parts in itertools.product(*choices))


def bare(name: str) -> str:
    """A field name less case and separators, for telling whether two are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@dataclass(frozen=True, slots=True)
class Slot:
    """One fact that a document may state."""

    spec: str
    names: tuple[str, ...]
    about: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    says: tuple[str, ...] = ()

    def known(self, split: Split) -> tuple[str, ...]:
        """Names that training fields may use."""
        return self.names if split is Split.ALL else self.names[:-1]

    def asked(self, split: Split) -> tuple[str, ...]:
        """Names for the field itself."""
        return self.names[-1:] if split is Split.NAMES else self.known(split)

    @property
    def is_judged(self) -> bool:
        """Whether the answer is read from the meaning of a clause."""
        return self.spec.startswith(("bool", "enum"))

    @property
    def is_phrase(self) -> bool:
        """Whether its text fits into a sentence as a noun does."""
        return not self.spec.startswith(("bool", "enum", "line_items", "list"))


@functools.cache
def meanings(slot: Slot) -> frozenset[str]:
    """All names and labels of a slot, bare: two slots that share one may be mistaken for each other."""
    return frozenset(bare(text) for pattern in (*slot.names, *slot.labels) for text in expand(pattern))


class Fact(NamedTuple):
    """A slot and the value that a document states for it."""

    slot: Slot
    shown: Shown


@dataclass(frozen=True, slots=True)
class Kind:
    """Slots by name, groups of wordings, titles, and the slots that may stand somewhere without a label."""

    name: str
    slots: dict[str, Slot]
    groups: tuple[tuple[str, ...], ...]
    titles: tuple[str, ...] = ()
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def at(self, place: str) -> tuple[str, ...]:
        """Slots that may stand at a place."""
        return self.places.get(place, ())


def wordings(group: tuple[str, ...], split: Split) -> tuple[str, ...]:
    """The wordings of a group that a split may use."""
    if split is Split.ALL or len(group) < 2:
        return group
    return group[-1:] if split is Split.WORDINGS else group[:-1]


def _split(text: str, mark: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(mark) if part.strip())


def _blocks(folder: str, stems: tuple[str, ...] = ()) -> list[list[str]]:
    paths = sorted(path for path in (FOLDER / folder).glob("*.txt") if not stems or path.stem in stems)
    return [
        [line for line in block.splitlines() if line.strip()]
        for path in paths
        for block in re.split(r"^== ", path.read_text(), flags=re.M)
        if block.strip()
    ]


@functools.cache
def load_facts() -> dict[str, Slot]:
    """The library by fact."""
    facts = {}
    for head, *lines in _blocks("facts"):
        name, _, spec = head.partition(" | ")
        part = {line[0]: line[2:] for line in lines}
        facts[name.strip()] = Slot(
            spec.strip(),
            _split(part["n"], ","),
            _split(part["d"], ";"),
            _split(part["l"], ";"),
            _split(part["s"], "||"),
        )
    return facts


def _parse_kind(head: str, lines: list[str]) -> Kind:
    slots: dict[str, Slot] = {}
    titles: tuple[str, ...] = ()
    places: dict[str, tuple[str, ...]] = {}
    groups = []
    for line in lines:
        mark, rest = line[0], line[2:]
        if mark == "~":
            groups.append(_split(rest, " || "))
        elif mark == "!":
            titles = _split(rest, ";")
        elif mark == "+":
            own = {piece.split(" | ")[0] for piece in lines if " | " in piece}
            slots |= {name: load_facts()[name] for name in rest.split() if name not in own}
        elif mark == "@":
            places = {key: tuple(names.split(",")) for key, _, names in (pair.partition("=") for pair in rest.split())}
        else:
            slot, spec, names, *about = (part.strip() for part in line.split(" | "))
            slots[slot] = Slot(spec, _split(names, ","), tuple(about))
    return Kind(head.strip(), slots, tuple(groups), titles, places)


@functools.cache
def foreign_slots(language: str) -> dict[str, Slot]:
    """The library as this language says it. Nothing of it is held out, so the last label and sentence stand twice."""
    slots = {}
    for head, *lines in _blocks("words", ("foreign",)):
        for line in lines if head.strip() == language else ():
            name, labels, *says = (part.strip() for part in line.split(" | "))
            if name in load_facts():
                spoken = _split(says[0], "||")
                slots[name] = replace(
                    load_facts()[name],
                    labels=(*_split(labels, ";"), _split(labels, ";")[-1]),
                    says=(*spoken, spoken[-1]),
                )
    return slots


@functools.cache
def foreign_phrases(language: str, name: str) -> tuple[str, ...]:
    """Greetings or closings of a language."""
    lines = (line.split(" | ") for head, *lines in _blocks("words", ("foreign",)) if head == language for line in lines)
    return next(_split(line[1], ";") for line in lines if line[0] == name)


HELD_OUT_KINDS = ("heldout",)


@functools.cache
def load_kinds(*, held_out: bool = False) -> tuple[Kind, ...]:
    """The kinds of training, or the ones kept from it."""
    stems = tuple(sorted(path.stem for path in (FOLDER / "kinds").glob("*.txt")))
    stems = tuple(stem for stem in stems if (stem in HELD_OUT_KINDS) is held_out)
    return tuple(_parse_kind(head, lines) for head, *lines in _blocks("kinds", stems))


@functools.cache
def all_slots() -> tuple[Slot, ...]:
    """Every slot that training may state, for facts beside the point."""
    own = (slot for kind in load_kinds() for slot in kind.slots.values())
    return tuple(dict.fromkeys([*load_facts().values(), *own]))


@functools.cache
def slots_like(root: str) -> tuple[Slot, ...]:
    """Slots whose spec begins with this word: dates for dates, money for money."""
    return tuple(slot for slot in all_slots() if slot.spec.split()[0] == root)
