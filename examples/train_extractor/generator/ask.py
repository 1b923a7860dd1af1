"""What is asked of a document: facts that it states and some that it does not, under names that fit one fact each."""

from __future__ import annotations

from ..prompt import Choice, Example, Field
from .documents import Draft, document, finish
from .library import Fact, Kind, Slot, Split, bare, load_kinds, meanings
from .names import as_field
from .scribe import CURRENCIES, Scribe
from .values import make

_EMPTY_NAMES = ("field", "f", "value", "col", "x", "answer", "item", "q")


def _name(rng: Scribe, slot: Slot, split: Split, taken: frozenset[str]) -> str | None:
    """A name that no other fact of the document goes by."""
    for _ in range(8):
        name = rng.vary(rng.choice(slot.asked(split))).strip("_")
        if bare(name) not in taken:
            return name
    return None


def _describe(rng: Scribe, slot: Slot, split: Split) -> str:
    about = [rng.vary(text) for text in slot.about]
    if split is not Split.NAMES and rng.chance(0.3):
        about = [rng.vary(rng.choice(slot.known(split))).replace("_", " ").strip()]
    text = rng.choice(about).strip() if about else ""
    return text[:1].upper() + text[1:] if rng.chance(0.3) else text


def ask_field(rng: Scribe, slot: Slot, fact: Fact | None, split: Split, taken: frozenset[str]) -> Field | None:
    """One field; None where every name of it would be ambiguous."""
    name = _name(rng, slot, split, taken)
    if name is None:
        return None
    description = _describe(rng, slot, split) if split is not Split.NAMES and rng.chance(0.35) else ""
    if description and rng.chance(0.1):
        name = rng.choice(_EMPTY_NAMES) + str(rng.randint(1, 9))
    shown = fact.shown if fact else make(rng, slot.spec)
    is_nullable = fact is None or rng.chance(0.4)
    return Field(as_field(rng, name), shown.type, fact.shown.gold if fact else None, is_nullable, description)


def _currency(rng: Scribe, document_text: str) -> Field | None:
    """The currency of a document that shows one, as a code among others."""
    if not any(mark in document_text for form in rng.currency.forms if (mark := form.replace("{}", "").strip())):
        return None
    others = [currency.code for currency in rng.sample(CURRENCIES, rng.randint(2, 4))]
    codes = list(dict.fromkeys([*others, rng.currency.code]))
    rng.shuffle(codes)
    return Field(
        rng.choice(("currency", "currency_code", "invoice_currency")), "|".join(codes), Choice(rng.currency.code)
    )


def _chosen(rng: Scribe, draft: Draft, *, is_long: bool) -> list[str]:
    kind, facts = draft.kind, draft.facts
    present = rng.sample(list(facts), min(len(facts), rng.randint(3, 14)))
    said = frozenset().union(*(meanings(fact.slot) for fact in facts.values()))
    missing = [name for name, slot in kind.slots.items() if name not in facts and not meanings(slot) & said]
    count = rng.choice((0, 1, 1, 2, 3, 4)) if is_long else rng.choice((0, 0, 1, 1, 2, 2))
    chosen = present + rng.sample(missing, min(len(missing), count))
    if rng.chance(0.5):
        chosen.sort(key=list(kind.slots).index)
    else:
        rng.shuffle(chosen)
    return chosen


def kind_example(
    rng: Scribe, split: Split = Split.TRAIN, *, is_long: bool = False, kind: Kind | None = None
) -> Example:
    """One document of a random kind with one to twelve fields, some of them missing from it."""
    kind = kind or rng.choice(load_kinds(held_out=split is Split.ALL))
    draft = document(rng, kind, split, is_long=is_long)
    text = finish(rng, draft.blocks)
    chosen = _chosen(rng, draft, is_long=is_long)
    fields: dict[str, Field] = {}
    for name in chosen:
        others = {other for other in (*draft.facts, *chosen) if other != name}
        taken = frozenset().union(*(meanings(kind.slots[other]) for other in others), map(bare, fields))
        field = ask_field(rng, kind.slots[name], draft.facts.get(name), split, taken)
        if field:
            fields[field.name] = field
    if split is Split.TRAIN and rng.chance(0.12) and (currency := _currency(rng, text)):
        fields[currency.name] = currency
    return Example(kind.name, tuple(fields.values()), text)
