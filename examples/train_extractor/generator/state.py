"""A fact -> a sentence or a labelled line."""

from __future__ import annotations

from typing import NamedTuple

from .library import HOLE, Fact, Kind, Slot, Split, wordings
from .names import as_label
from .scribe import Scribe

PLAIN = (
    "The {k} is {v}.",
    "The {k} is {v}.",
    "Its {k} is {v}.",
    "{k}: {v}.",
    "We noted {v} as the {k}.",
    "{v} is the {k}.",
    "It has a {k} of {v}.",
    "As {k} we have {v}.",
    "The {k} was set to {v}.",
    "Regarding the {k}: {v}.",
    "with {k} {v}",
    "({k} {v})",
)
_OPENERS = (
    *("By the way: ", "Note: ", "As agreed: ", "For your information: ", "Just so you know: ", "As announced: "),
    *("FYI - ", "P.S. ", "Update: ", "To be clear: ", "One more thing: ", "Reminder: ", "As discussed on the phone: "),
    *("Good to know: ", "In other news: ", "For the record: ", "> ", "- ", "Please note: ", "Also: ", "And: "),
)


class Row(NamedTuple):
    """A label and what stands after it."""

    label: str
    value: str


def label_of(rng: Scribe, slot: Slot, split: Split) -> str:
    """How a form names the slot: mostly a label of the library, else a field name."""
    labels = slot.labels[-1:] if split is Split.WORDINGS else slot.labels[:-1]
    if labels and rng.chance(1.0 if rng.language else 0.75):
        label = rng.choice(labels)
        roll = rng.random()
        return label.upper() if roll < 0.1 else label.lower() if roll < 0.16 else label
    return as_label(rng, rng.vary(rng.choice(slot.known(split))))


def row(rng: Scribe, fact: Fact, split: Split) -> Row:
    """A labelled line."""
    return Row(label_of(rng, fact.slot, split), fact.shown.labelled)


def _finish(text: str) -> str:
    return text.replace("..", ".").replace("?.", "?").strip()


def sentence(rng: Scribe, fact: Fact, split: Split) -> str:
    """One fact in a sentence of its own."""
    says = wordings(fact.slot.says, split)
    is_plain = fact.slot.is_phrase and split is Split.TRAIN and not rng.language and rng.chance(0.12)
    if says and not is_plain:
        text = rng.vary(rng.choice(says)).replace("{}", fact.shown.text)
        is_free = fact.slot.is_judged and text.startswith(fact.shown.text)
        opener = rng.choice(_OPENERS) if split is Split.TRAIN and not rng.language and rng.chance(0.12) else ""
        return opener + _finish(text[:1].upper() + text[1:] if is_free else text)
    label = rng.vary(rng.choice(fact.slot.known(split))).replace("_", " ")
    form = rng.choice(PLAIN) if fact.slot.is_phrase else "{v}." if fact.slot.is_judged else "{k}: {v}"
    return _finish(form.format(k=label, v=fact.shown.text))


def sentences(rng: Scribe, kind: Kind, facts: dict[str, Fact], split: Split) -> list[str]:
    """All facts, several at once where a wording of the kind holds them."""
    left, out = dict(facts), []
    for group in () if rng.language else rng.sample(kind.groups, len(kind.groups)):
        wording = rng.vary(rng.choice(wordings(group, split)))
        holes = set(HOLE.findall(wording))
        if holes <= left.keys() and rng.chance(0.75):
            out.append(_fill_wording(wording, left))
            left = {name: fact for name, fact in left.items() if name not in holes}
    out += [sentence(rng, fact, split) for fact in left.values()]
    rng.shuffle(out)
    return out


def _fill_wording(wording: str, facts: dict[str, Fact]) -> str:
    text = HOLE.sub(lambda match: facts[match[1]].shown.text, wording)
    first = HOLE.match(wording)
    if first and facts[first[1]].slot.is_judged:
        text = text[:1].upper() + text[1:]
    return _finish(text)
