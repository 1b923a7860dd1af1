"""Copying without meaning: documents of random keys, and one typed value among random words."""

from __future__ import annotations

from ..prompt import Choice, Example, Field
from . import layouts
from .fill import stock_sentence
from .names import as_field, as_label
from .pools import invent, words
from .scribe import Scribe
from .shown import Shown
from .state import PLAIN, Row
from .values import make

_SPECS = (
    "words",
    "words",
    "word",
    "title",
    "person",
    "company",
    "city",
    "code",
    "code",
    "date",
    "time",
    "money",
    "int 0 999",
    "int 1 99999",
    "num 0 500 kg,km,l,h,MB,%",
    "email",
    "phone",
    "url",
    "address",
    "product",
    "percent",
    "job",
    "list word",
    "list person",
    "tracking",
    "iban",
    "version",
    "pool remarks",
    "pool complaints",
    "literal",
    "flag",
)
_PICKS = {
    "email": ("email", "email_address", "mail", "contact_email"),
    "phone": ("phone", "phone_number", "telephone", "tel"),
    "date": ("date", "day", "when", "on_date"),
    "time": ("time", "hour", "at"),
    "url": ("url", "website", "link"),
    "money": ("amount", "price", "cost", "sum"),
    "percent": ("percent", "percentage", "rate", "share"),
    "person": ("person", "name", "full_name", "who"),
    "company": ("company", "organization", "firm"),
    "city": ("city", "town", "place"),
    "code": ("code", "number", "id", "reference"),
    "int 10 5000": ("number", "count", "how_many"),
    "country": ("country", "nation"),
    "address": ("address", "location"),
}
_FILLERS = ("the", "no", "total", "of", "this", "your", "main", "name")


def _value(rng: Scribe, spec: str) -> Shown:
    if spec == "flag":
        value = rng.random() < 0.5
        text = rng.choice((("yes", "no"), ("true", "false"), ("Yes", "No"), ("on", "off")))[0 if value else 1]
        return Shown(text, value, "boolean")
    if spec == "literal":
        members = list(
            dict.fromkeys(invent(rng) if rng.random() < 0.4 else words(rng, 1, 1) for _ in range(rng.randint(2, 4)))
        )
        member = rng.choice(members)
        return Shown(rng.choice((member, member, member.upper(), member.title())), Choice(member), "|".join(members))
    return make(rng, spec)


def _key(rng: Scribe) -> str:
    return "_".join(
        (invent(rng) if rng.random() < 0.1 else words(rng, 1, 1)) for _ in range(rng.choice((1, 1, 2, 2, 3)))
    ).lower()


def _relative(rng: Scribe, key: str, others: set[str]) -> str:
    """Another way to call a key: its words in another order, fewer or more of them, one cut short; still its own."""
    parts = key.split("_")
    own = [part for part in parts if part not in others]
    if not own:
        return key
    kept = [part for part in parts if part in own or rng.chance(0.5)]
    if len(own) > 1 and rng.chance(0.4):
        kept.remove(rng.choice(own))
    if rng.chance(0.4):
        rng.shuffle(kept)
    if kept and len(kept[0]) > 6 and rng.chance(0.2):
        kept[0] = kept[0][: rng.randint(3, 5)]
    if rng.chance(0.3):
        kept.insert(
            rng.choice((0, len(kept))), rng.choice(("the", "no", "total", "of", "this", "your", "main", "name"))
        )
    return "_".join(kept) or key


def _state_keys(rng: Scribe, facts: dict[str, Shown]) -> str:
    """Keys and values as a form, or each in a sentence of its own."""
    if rng.chance(0.6):
        rows = [Row(as_label(rng, key), shown.labelled) for key, shown in facts.items()]
        cut = rng.randint(0, len(rows)) if rng.chance(0.3) else len(rows)
        blocks = [layouts.form(rng, part) for part in (rows[:cut], rows[cut:]) if part]
        blocks += [stock_sentence(rng) for _ in range(rng.choice((0, 0, 1)))]
        return "\n\n".join(blocks)
    said = [rng.choice(PLAIN).format(k=key.replace("_", " "), v=shown.text) for key, shown in facts.items()]
    said += [stock_sentence(rng) for _ in range(rng.choice((0, 0, 1, 2)))]
    return layouts.prose(rng, said)


def random_keys(rng: Scribe) -> Example:
    """Invented keys with values of any type, or all of one type; most are asked, under their names or similar ones."""
    specs = rng.sample(_SPECS, rng.choice((1, 2))) if rng.chance(0.35) else _SPECS
    facts = {_key(rng): _value(rng, rng.choice(specs)) for _ in range(rng.randint(3, 13))}
    asked = rng.sample(list(facts), min(len(facts), rng.randint(2, 10)))
    missing = [key for key in [_key(rng) for _ in range(rng.choice((0, 0, 0, 1, 2)))] if key not in facts]
    called = {key: key for key in (*facts, *missing)}
    if rng.chance(0.5):
        others = {key: {part for other in called if other != key for part in other.split("_")} for key in called}
        called = {key: _relative(rng, key, others[key]) if rng.chance(0.6) else key for key in called}
    fields = []
    for key in rng.sample([*asked, *missing], len(asked) + len(missing)):
        name, description = called[key], ""
        if rng.chance(0.2):
            name, description = rng.choice((_key(rng), name, f"f{rng.randint(1, 9)}")), name.replace("_", " ")
        shown = facts.get(key)
        kind = (shown or _value(rng, rng.choice(specs))).type
        is_nullable = shown is None or rng.chance(0.35)
        fields.append(Field(as_field(rng, name), kind, shown.gold if shown else None, is_nullable, description))
    return Example("random_keys", tuple({field.name: field for field in fields}.values()), _state_keys(rng, facts))


def typed_pick(rng: Scribe) -> Example:
    """Values of several types among words; the field's name says only the type."""
    specs = rng.sample(list(_PICKS), rng.randint(1, 4))
    shown = {spec: make(rng, spec) for spec in specs}
    parts = []
    for spec in specs:
        parts += [words(rng, 1, 6), shown[spec].text]
    joint = rng.choice((" ", " ", ", ", "\n", " - "))
    document = joint.join([*parts, words(rng, 1, 5)])
    asked = rng.sample(specs, rng.randint(1, min(3, len(specs))))
    fields = [
        Field(as_field(rng, rng.choice(_PICKS[spec])), shown[spec].type, shown[spec].gold, rng.random() < 0.3)
        for spec in asked
    ]
    if rng.random() < 0.3:
        absent = rng.choice([spec for spec in _PICKS if spec not in specs])
        fields.append(Field(rng.choice(_PICKS[absent]), make(rng, absent).type, None, True))
    return Example("typed_pick", tuple({field.name: field for field in fields}.values()), document)
