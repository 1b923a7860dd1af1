"""Copying without meaning: documents of random keys, and one typed value among random words."""

from __future__ import annotations

from random import Random

from ..prompt import Choice, Example, Field
from . import layouts
from .names import as_field, as_label
from .pools import invent, words
from .values import Shown, make

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


def _value(rng: Random, spec: str) -> Shown:
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


def _key(rng: Random) -> str:
    return "_".join(
        (invent(rng) if rng.random() < 0.1 else words(rng, 1, 1)) for _ in range(rng.choice((1, 1, 2, 2, 3)))
    ).lower()


def random_keys(rng: Random) -> Example:
    """Two to nine invented keys with values of any type, as a form or in sentences; one to five are asked."""
    facts = {_key(rng): _value(rng, rng.choice(_SPECS)) for _ in range(rng.randint(2, 9))}
    if rng.random() < 0.6:
        document = layouts.form(rng, [(as_label(rng, key), shown.labelled) for key, shown in facts.items()])
    else:
        sentences = [
            rng.choice(layouts.PLAIN).format(k=key.replace("_", " "), v=shown.text) for key, shown in facts.items()
        ]
        document = layouts.prose(rng, layouts.sprinkle(rng, sentences, 0.1))
    asked = rng.sample(list(facts), min(len(facts), rng.randint(1, 5)))
    fields = [Field(as_field(rng, key), facts[key].type, facts[key].gold, rng.random() < 0.4) for key in asked]
    for key in {_key(rng) for _ in range(rng.choice((0, 0, 0, 1, 2)))} - set(facts):
        fields.append(Field(key, _value(rng, rng.choice(_SPECS)).type, None, True))
    rng.shuffle(fields)
    return Example("random_keys", tuple({field.name: field for field in fields}.values()), document)


def typed_pick(rng: Random) -> Example:
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
