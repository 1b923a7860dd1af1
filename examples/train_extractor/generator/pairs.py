"""Documents with two parties or two legs that have the same attributes: only the heading tells them apart.

    words/pairs.txt   names of one ; names of the other | attribute, attribute ...

A field's name is put together from role and attribute (`buyer_email`, `email_of_buyer`, `buyerEmail`), or a field asks
for a whole side as an object.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

from ..prompt import Example, Field, Gold
from . import layouts
from .fill import stock_sentence
from .names import as_field, as_label
from .scribe import Scribe
from .shown import Shown
from .state import Row
from .values import make

_ATTRIBUTES = {
    "name": ("person", ("name", "full_name", "name")),
    "company": ("company", ("company", "company_name", "firm", "organization")),
    "address": ("address", ("address", "address", "location")),
    "city": ("city", ("city", "town", "place")),
    "phone": ("phone", ("phone", "telephone", "phone_number", "tel")),
    "email": ("email", ("email", "mail", "email_address")),
    "contact": ("person", ("contact", "contact_person", "contact_name")),
    "date": ("date", ("date", "day")),
    "time": ("time", ("time", "hour")),
    "number": ("code", ("number", "no", "id", "reference")),
    "birth": ("date", ("date_of_birth", "birth_date", "dob")),
    "plate": ("plate", ("license_plate", "plate", "registration")),
    "car": ("pool vehicles", ("vehicle", "car", "model")),
    "account": ("iban", ("account", "iban", "account_number")),
    "taxid": ("taxid", ("tax_id", "vat_id", "vat_number")),
    "amount": ("money", ("amount", "total", "sum")),
    "reading": ("int 100 90000", ("reading", "value", "count")),
    "job": ("job", ("job_title", "position", "role")),
    "price": ("money", ("price", "cost")),
    "weight": ("num 1 90 kg,g,t", ("weight", "mass")),
    "insurer": ("company", ("insurer", "insurance", "insurance_company")),
    "flight": ("flightno", ("flight", "flight_number", "flight_no")),
    "product": ("product", ("product", "item", "article")),
    "country": ("country", ("country", "nation")),
}
_COMPOSED = ("{r}_{a}", "{r}_{a}", "{r}_{a}", "{a}_of_{r}", "{r}s_{a}", "{a}_{r}", "{a}_of_the_{r}", "the_{r}_{a}")
_SAYS = (
    "The {r}'s {a} is {v}.",
    "{R} {a}: {v}.",
    "The {a} of the {r} is {v}.",
    "{v} is the {a} of the {r}.",
    "For the {r}, the {a} is {v}.",
    "As {a} of the {r} we have {v}.",
)


class Pair(NamedTuple):
    """Names of either side, and the attributes that both have."""

    sides: tuple[tuple[str, ...], tuple[str, ...]]
    attributes: tuple[str, ...]


class _Part(NamedTuple):
    """An attribute of a side: how the document calls both, its names, and its value."""

    role: str
    attribute: str
    shown: Shown


@functools.cache
def load_pairs() -> tuple[Pair, ...]:
    """All of words/pairs.txt."""
    lines = (Path(__file__).parent / "words" / "pairs.txt").read_text().splitlines()
    pairs = []
    for line in lines:
        sides, _, attributes = line.partition("|")
        first, second = (tuple(name.strip() for name in side.split(",")) for side in sides.split(";"))
        pairs.append(Pair((first, second), tuple(attributes.split())))
    return tuple(pairs)


def _side(rng: Scribe, role: str, attributes: list[str]) -> list[_Part]:
    return [_Part(role, attribute, make(rng, _ATTRIBUTES[attribute][0])) for attribute in attributes]


def _sections(rng: Scribe, sides: list[list[_Part]]) -> str:
    """A heading for each side, its attributes below."""
    heading = rng.choice(("{}", "{}:", "## {}", "[{}]", "--- {} ---", "{}\n------", "**{}**"))
    unlabelled = rng.chance(0.2)
    blocks = []
    for parts in sides:
        rows = [Row(as_label(rng, rng.choice(_ATTRIBUTES[part.attribute][1])), part.shown.text) for part in parts]
        text = "\n".join(row.value for row in rows) if unlabelled else layouts.form(rng, rows)
        blocks.append(heading.format(as_label(rng, parts[0].role)) + "\n" + text)
    return "\n\n".join(blocks)


def _beside(rng: Scribe, sides: list[list[_Part]]) -> str:
    """A table: attributes down, sides across (or the other way round)."""
    roles = [as_label(rng, parts[0].role) for parts in sides]
    labels = [as_label(rng, rng.choice(_ATTRIBUTES[part.attribute][1])) for part in sides[0]]
    grid = [["", *roles]] + [[label, *(parts[i].shown.text for parts in sides)] for i, label in enumerate(labels)]
    if rng.chance(0.4):
        grid = [list(column) for column in zip(*grid, strict=True)]
    if rng.chance(0.4):
        return "\n".join(" | ".join(" ".join(cell.split()) for cell in line) for line in grid)
    widths = [max(len(" ".join(line[i].split())) for line in grid) + 3 for i in range(len(grid[0]))]
    return "\n".join(
        "".join(" ".join(c.split()).ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in grid
    )


def _told(rng: Scribe, sides: list[list[_Part]]) -> str:
    """A sentence or a labelled line for each attribute of each side, mixed."""
    parts = [part for side in sides for part in side]
    if rng.chance(0.5):
        rng.shuffle(parts)
    if rng.chance(0.4):
        names = [rng.choice(_ATTRIBUTES[part.attribute][1]) for part in parts]
        rows = [
            Row(as_label(rng, f"{p.role}_{name}".replace(" ", "_")), p.shown.text)
            for p, name in zip(parts, names, strict=True)
        ]
        return layouts.form(rng, rows)
    said = []
    for part in parts:
        name = rng.choice(_ATTRIBUTES[part.attribute][1]).replace("_", " ")
        role = part.role
        said.append(rng.choice(_SAYS).format(r=role, R=role.capitalize(), a=name, v=part.shown.text))
    return layouts.prose(rng, said)


def _ask(rng: Scribe, names: tuple[str, ...], part: _Part, *, is_missing: bool) -> Field:
    role = part.role if rng.chance(0.6) else rng.choice(names)
    attribute = rng.choice(_ATTRIBUTES[part.attribute][1])
    name = rng.choice(_COMPOSED).format(r=role.replace(" ", "_").replace("-", "_"), a=attribute)
    if part.attribute == "name" and rng.chance(0.4):
        name = role.replace(" ", "_")
    description = ""
    if rng.chance(0.25):
        description = rng.choice(("{a} of the {r}", "the {r}'s {a}", "{r}: {a}")).format(
            r=role, a=attribute.replace("_", " ")
        )
        name = attribute + str(rng.randint(1, 2)) if rng.chance(0.2) else name
    gold: Gold = None if is_missing else part.shown.gold
    return Field(as_field(rng, name), part.shown.type, gold, is_missing or rng.chance(0.35), description)


def _objects(rng: Scribe, sides: list[list[_Part]]) -> list[Field]:
    fields = []
    for parts in sides:
        kept = [part for part in parts if rng.chance(0.8)] or parts
        keys = [as_field(rng, rng.choice(_ATTRIBUTES[part.attribute][1])) for part in kept]
        members = dict(zip(keys, kept, strict=True))
        kind = "{" + ", ".join(f"{key}: {part.shown.type}" for key, part in members.items()) + "}"
        gold: dict[str, Gold] = {key: part.shown.gold for key, part in members.items()}
        fields.append(Field(as_field(rng, parts[0].role.replace(" ", "_").replace("-", "_")), kind, gold))
    return fields


def pair_example(rng: Scribe) -> Example:
    """Two sides, the attributes of both in sections, side by side, or told; attributes of either asked."""
    pair = rng.choice(load_pairs())
    roles = [rng.choice(names) for names in pair.sides]
    attributes = rng.sample(pair.attributes, rng.randint(2, len(pair.attributes)))
    sides = [_side(rng, role, attributes) for role in roles]
    layout = rng.choice((_sections, _sections, _beside, _told))
    if layout is not _beside:
        sides = [[part for part in parts if rng.chance(0.85)] or parts for parts in sides]
    blocks = [layout(rng, sides)]
    for _ in range(rng.choice((0, 0, 1, 2))):
        blocks.insert(rng.randint(0, 1), stock_sentence(rng))
    if rng.chance(0.15):
        return Example("pair", tuple(_objects(rng, sides)), "\n\n".join(blocks))
    fields: list[Field] = []
    for names, role, parts in zip(pair.sides, roles, sides, strict=True):
        said = {part.attribute for part in parts}
        lacking = [part for part in _side(rng, role, attributes) if part.attribute not in said]
        fields += [_ask(rng, names, part, is_missing=False) for part in parts if rng.chance(0.7)]
        fields += [_ask(rng, names, part, is_missing=True) for part in lacking if rng.chance(0.7)]
    rng.shuffle(fields)
    return Example("pair", tuple({field.name: field for field in fields[:10]}.values()), "\n\n".join(blocks))
