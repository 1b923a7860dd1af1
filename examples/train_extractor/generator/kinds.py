"""Reads kinds/*.txt and makes examples of a kind.

    == kind
    slot | value spec | field name, field name, ... | description
    ~ wording with {slot} || another wording of the same facts || ...

The last name of a slot and the last wording of a group are kept from training (`Split`).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from random import Random

from ..prompt import Example, Field
from . import layouts
from .names import as_field, as_label
from .values import Shown, make

FOLDER = Path(__file__).parent / "kinds"
_HOLE = re.compile(r"{(\w+)}")
_JUDGED = ("bool", "enum", "line_items", "list")  # specs whose text is a clause or a block, not a phrase


class Split(Enum):
    """Which wordings and field names an example may use."""

    TRAIN = "train"
    WORDINGS = "wordings"  # only wordings kept from training
    NAMES = "names"  # only field names kept from training
    ALL = "all"  # kinds that training never sees


@dataclass(frozen=True, slots=True)
class Slot:
    """One fact that a kind of document may state."""

    spec: str
    names: tuple[str, ...]
    description: str

    def known(self, split: Split) -> tuple[str, ...]:
        """Names that documents (as labels) and training fields may use."""
        return self.names if split is Split.ALL else self.names[:-1]

    def asked(self, split: Split) -> tuple[str, ...]:
        """Names for the field itself."""
        return self.names[-1:] if split is Split.NAMES else self.known(split)


@dataclass(frozen=True, slots=True)
class Kind:
    """Slots by name, and groups of wordings."""

    name: str
    slots: dict[str, Slot]
    groups: tuple[tuple[str, ...], ...]


def _parse_kind(block: str) -> Kind:
    name, *lines = block.strip().splitlines()
    slots: dict[str, Slot] = {}
    groups = []
    for line in lines:
        if line.startswith("~ "):
            groups.append(tuple(wording.strip() for wording in line[2:].split(" || ")))
        elif line.strip():
            slot, spec, names, *rest = (part.strip() for part in line.split(" | "))
            slots[slot] = Slot(spec, tuple(n.strip() for n in names.split(",")), rest[0] if rest else "")
    return Kind(name.strip(), slots, tuple(groups))


@functools.cache
def load_kinds(*, held_out: bool = False) -> tuple[Kind, ...]:
    """The kinds of training, or the ones kept from it."""
    files = sorted(path for path in FOLDER.glob("*.txt") if (path.stem == "heldout") is held_out)
    blocks = (block for path in files for block in re.split(r"^== ", path.read_text(), flags=re.M) if block.strip())
    return tuple(_parse_kind(block) for block in blocks)


def _wordings(group: tuple[str, ...], split: Split) -> tuple[str, ...]:
    if split is Split.ALL:
        return group
    return group[-1:] if split is Split.WORDINGS else group[:-1]


def _sentence(wording: str, shown: dict[str, Shown]) -> str:
    """Fill a wording; a clause that is judged, not quoted, may be capitalised."""
    text = _HOLE.sub(lambda match: shown[match[1]].text, wording)
    first = _HOLE.match(wording)
    if first and not isinstance(shown[first[1]].gold, list | dict) and shown[first[1]].gold != shown[first[1]].text:
        text = text[:1].upper() + text[1:]
    return text.replace("..", ".")


@dataclass(slots=True)
class _Draft:
    """A document under way and what it states."""

    document: str
    shown: dict[str, Shown]


def _plain_sentences(rng: Random, kind: Kind, split: Split, shown: dict[str, Shown]) -> list[str]:
    """Up to two more facts, each in a sentence that names it as a field would; `shown` takes them in."""
    if split is Split.WORDINGS or rng.random() < 0.5:
        return []
    free = [name for name, slot in kind.slots.items() if name not in shown and not slot.spec.startswith(_JUDGED)]
    sentences = []
    for name in rng.sample(free, min(len(free), rng.randint(1, 2))):
        shown[name] = make(rng, kind.slots[name].spec)
        label = rng.choice(kind.slots[name].known(split)).replace("_", " ")
        sentences.append(rng.choice(layouts.PLAIN).format(k=label, v=shown[name].text))
    return sentences


def _draft_prose(rng: Random, kind: Kind, split: Split) -> _Draft:
    groups = rng.sample(kind.groups, rng.randint(min(2, len(kind.groups)), min(6, len(kind.groups))))
    wordings = [rng.choice(_wordings(group, split)) for group in groups]
    slots = dict.fromkeys(name for wording in wordings for name in _HOLE.findall(wording))
    shown = {name: make(rng, kind.slots[name].spec) for name in slots}
    said = [_sentence(wording, shown) for wording in wordings] + _plain_sentences(rng, kind, split, shown)
    if len(said) > len(wordings):
        rng.shuffle(said)
    sentences = layouts.sprinkle(rng, said, rng.choice((0, 0, 0.2, 0.4)))
    roll = rng.random()
    if roll < 0.6:
        return _Draft(layouts.prose(rng, sentences), shown)
    if roll < 0.78:
        return _Draft(layouts.letter(rng, sentences), shown)
    if roll < 0.9:
        return _Draft(layouts.email(rng, sentences, kind.name.title()), shown)
    return _Draft(layouts.chat(rng, sentences), shown)


def _rows(rng: Random, kind: Kind, names: list[str], shown: dict[str, Shown], split: Split) -> list[tuple[str, str]]:
    return [(as_label(rng, rng.choice(kind.slots[name].known(split))), shown[name].labelled) for name in names]


def _draft_form(rng: Random, kind: Kind, split: Split) -> _Draft:
    names = rng.sample(list(kind.slots), rng.randint(3, min(9, len(kind.slots))))
    shown = {name: make(rng, kind.slots[name].spec) for name in names}
    rows = _rows(rng, kind, names, shown, split)
    is_flat = not any("\n" in value for _, value in rows)
    text = layouts.columns(rng, rows) if is_flat and rng.random() < 0.08 else layouts.form(rng, rows)
    if rng.random() < 0.4:
        text = rng.choice((kind.name.title(), kind.name.upper(), layouts.noise_sentence(rng))) + "\n" + text
    if rng.random() < 0.3:
        text += "\n" + layouts.noise_sentence(rng)
    return _Draft(text, shown)


def _draft_mixed(rng: Random, kind: Kind, split: Split) -> _Draft:
    """A few labelled lines above or below prose."""
    draft = _draft_prose(rng, kind, split)
    others = [name for name in kind.slots if name not in draft.shown]
    names = rng.sample(others, min(len(others), rng.randint(1, 4)))
    if not names:
        return draft
    shown = {name: make(rng, kind.slots[name].spec) for name in names}
    block = layouts.form(rng, _rows(rng, kind, names, shown, split))
    parts = [block, draft.document] if rng.random() < 0.6 else [draft.document, block]
    return _Draft("\n\n".join(parts), draft.shown | shown)


def _field(rng: Random, slot: Slot, shown: Shown | None, split: Split) -> Field:
    asked = slot.asked(split)
    name = rng.choice(asked)
    description = ""
    if split is not Split.NAMES:
        synonym = rng.choice(slot.known(split)).replace("_", " ")
        roll = rng.random()
        if roll < 0.05:
            description = slot.description or synonym
            name = rng.choice(("field", "f", "value", "col", "x")) + str(rng.randint(1, 9)) if roll < 0.02 else name
        elif roll < 0.25:
            description = slot.description or (synonym if roll < 0.12 else "")
    kind = (shown or make(rng, slot.spec)).type
    is_nullable = shown is None or rng.random() < 0.4
    return Field(as_field(rng, name), kind, shown.gold if shown else None, is_nullable, description)


def _other_sentences(rng: Random, asked: set[str], count: int) -> list[str]:
    """Sentences of any kinds whose slots cannot be mistaken for the asked ones."""
    out = []
    while len(out) < count:
        if rng.random() < 0.5:
            out.append(layouts.noise_sentence(rng))
            continue
        kind = rng.choice(load_kinds())
        wording = rng.choice(rng.choice(kind.groups)[:-1])
        holes = _HOLE.findall(wording)
        if not any(asked & set(kind.slots[hole].names) for hole in holes):
            out.append(_sentence(wording, {hole: make(rng, kind.slots[hole].spec) for hole in holes}))
    return out


def _pad(rng: Random, document: str, asked: set[str]) -> str:
    """A document among distracting paragraphs: 600 to 3,000 characters more."""
    budget = rng.randint(600, 3000)
    before, after = [], []
    while sum(map(len, before)) + sum(map(len, after)) < budget:
        paragraph = layouts.prose(rng, _other_sentences(rng, asked, rng.randint(2, 5)))
        (before if rng.random() < 0.5 else after).append(paragraph)
    return "\n\n".join([*before, document, *after])


def kind_example(rng: Random, split: Split = Split.TRAIN, *, is_long: bool = False) -> Example:
    """One document of a random kind with one to nine fields, some of them missing from it."""
    kind = rng.choice(load_kinds(held_out=split is Split.ALL))
    roll = rng.random()
    if split is Split.WORDINGS or roll < 0.5:
        draft = _draft_prose(rng, kind, split)
    else:
        draft = _draft_form(rng, kind, split) if roll < 0.75 else _draft_mixed(rng, kind, split)
    present = rng.sample(list(draft.shown), min(len(draft.shown), rng.randint(2, 9)))
    missing = [name for name in kind.slots if name not in draft.shown]
    count = rng.choice((0, 0, 1, 1, 2, 3)) if is_long else rng.choice((0, 0, 1, 1, 2, 2))
    chosen = present + rng.sample(missing, min(len(missing), count))
    if rng.random() < 0.6:
        chosen.sort(key=list(kind.slots).index)
    else:
        rng.shuffle(chosen)
    fields = {
        field.name: field for name in chosen for field in [_field(rng, kind.slots[name], draft.shown.get(name), split)]
    }
    document = draft.document
    if is_long:
        document = _pad(rng, document, {name for slot in kind.slots.values() for name in slot.names})
    return Example(kind.name, tuple(fields.values()), document)
