"""Values with parts or with a meaning: objects, tables, lists, enum members and booleans judged from words."""

from __future__ import annotations

from typing import NamedTuple

from ..prompt import Choice, Digits, Gold
from . import numbers
from .pools import load_pools, phrases
from .scribe import Scribe
from .shown import Shown

_INLINE = (
    "{q} x {n} {p}",
    "{q} {n} {p}",
    "{n} x{q} @ {p}",
    "{n}, qty {q}, {p} each",
    "{q}x {n} at {p}",
    "{n} ({q}) {p}",
)
_YES_NO = (("yes", "no"), ("Yes", "No"), ("true", "false"), ("Y", "N"), ("[x]", "[ ]"), ("YES", "NO"), ("ja", "nein"))
_HEADS = (
    ("Description", "Qty", "Unit price", "Amount"),
    ("Item", "Quantity", "Price", "Total"),
    ("Article", "Pcs", "Price each", "Sum"),
    ("Bezeichnung", "Menge", "Einzelpreis", "Gesamt"),
    ("Product", "Units", "Rate", "Line total"),
    ("Désignation", "Qté", "P.U.", "Montant"),
)


def address_object(rng: Scribe) -> Shown:
    """Street, postcode and city, taken apart in the answer."""
    line, postcode, city = rng.choice(load_pools().addresses)
    text = rng.choice((f"{line}, {postcode} {city}", f"{line}, {city} {postcode}", f"{line}\n{postcode} {city}"))
    third = rng.choice(("postal_code", "zip", "postcode", "zip_code"))
    gold: dict[str, Gold] = {"street": line, "city": city, third: postcode}
    return Shown(text, gold, f"{{street: string, city: string, {third}: string}}")


class _Line(NamedTuple):
    """One line of a bill: name, count, price of one, and both multiplied."""

    name: str
    pieces: int
    price: str
    total: str


def _bill_lines(rng: Scribe) -> list[_Line]:
    pool = phrases(rng.choice(("things", "things", "groceries", "groceries", "services")))
    lines = []
    for name in rng.sample(pool, rng.randint(1, 5)):
        count, cents = rng.choice((1, 1, 2, 3, rng.randint(1, 40))), round(100 * 10 ** rng.uniform(0, 2.4))
        name = rng.choice((name, name[:1].upper() + name[1:], name.upper() if rng.chance(0.3) else name.title()))
        lines.append(_Line(name, count, f"{cents / 100:.2f}", f"{count * cents / 100:.2f}"))
    return lines


def line_items(rng: Scribe) -> Shown:
    """Lines of a bill, as an array of objects, of names, or of amounts."""
    lines = _bill_lines(rng)
    text, last = _bill_text(rng, lines)
    name = rng.choice(("name", "item", "description", "product", "article", "title"))
    if rng.chance(0.25):
        return Shown(text, [line.name for line in lines], "string[]")
    parts: dict[str, list[Gold]] = {name: [line.name for line in lines]}
    types = {name: "string"}
    count, price = rng.choice(("qty", "quantity", "count", "units")), rng.choice(("price", "unit_price", "price_each"))
    if rng.chance(0.8):
        parts[count], types[count] = [Digits(str(line.pieces)) for line in lines], rng.choice(("integer", "number"))
    if rng.chance(0.7):
        is_total = last == "total"
        price = rng.choice(("amount", "total", "line_total", "price")) if is_total else price
        cents = [line.total if is_total else line.price for line in lines]
        parts[price], types[price] = [Digits(c, numbers.digits(rng, c)) for c in cents], "number"
    rows: list[Gold] = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    return Shown(text, rows, "{" + ", ".join(f"{key}: {kind}" for key, kind in types.items()) + "}[]")


def _bill_text(rng: Scribe, lines: list[_Line]) -> tuple[str, str]:
    """The lines inline, as a receipt or as a table, and which price they show last: `price` or `total`."""
    roll = rng.random()
    if roll < 0.3:
        form, joint = rng.choice(_INLINE), rng.choice(("\n", "\n", "; ", ", "))
        money = rng.chance(0.5)
        shown = [numbers.money_text(rng, x.price) if money else numbers.digits(rng, x.price) for x in lines]
        return joint.join(form.format(n=x.name, q=x.pieces, p=p) for x, p in zip(lines, shown, strict=True)), "price"
    if roll < 0.6:
        return "\n".join(_receipt_line(rng, x) for x in lines), "total"
    heads = list(rng.choice(_HEADS))
    rows = [[x.name, str(x.pieces), numbers.digits(rng, x.price), numbers.digits(rng, x.total)] for x in lines]
    if rng.chance(0.3):
        heads, rows = heads[:3], [row[:3] for row in rows]
    return grid(rng, heads, rows), "price"


def _receipt_line(rng: Scribe, line: _Line) -> str:
    total, price = numbers.digits(rng, line.total), numbers.digits(rng, line.price)
    name = line.name[:28]
    head = f"{line.pieces} x {name}" if line.pieces > 1 or rng.chance(0.3) else f"1 {name}"
    tail = rng.choice(("", "", " A", " B", "*"))
    columns = f"{head.ljust(32)}{total.rjust(9)}{tail}"
    forms = (columns, columns, f"{head}  {total}", f"{head} @ {price}  {total}", f"{head}\t{total}")
    return forms[rng.time_form]  # one manner for all lines of a document


def grid(rng: Scribe, heads: list[str], rows: list[list[str]]) -> str:
    """A table: aligned columns, pipes, Markdown, tabs or CSV, some with numbered lines."""
    if rng.chance(0.3):
        heads, rows = ["Pos", *heads], [[str(i + 1), *row] for i, row in enumerate(rows)]
    joint = rng.choice(("align", "align", "align", " | ", "| ", "\t", "; ", ",", "  "))
    table = [heads, *rows] if rng.chance(0.9) else rows
    if joint != "align":
        lines = [joint.join(row) for row in table]
        if joint == "| ":
            lines = [f"| {' | '.join(row)} |" for row in table]
            lines.insert(1, "|" + "---|" * len(heads))
        return "\n".join(lines)
    widths = [max(len(row[i]) for row in table) + rng.randint(1, 4) for i in range(len(heads))]
    return "\n".join("".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table)


def enum(rng: Scribe, options: str) -> Shown:
    """A member judged from a phrase; a form shows the member itself. Members come in any order and case."""
    case = rng.choice((str.lower, str.lower, str.lower, str.title, str.upper))
    pairs = [option.partition("=") for option in options.split(",")]
    if rng.chance(0.4):
        rng.shuffle(pairs)
    table = {case(key.strip()): texts for key, _, texts in pairs}
    member = rng.choice(list(table))
    shown = rng.vary(rng.choice(table[member].split(";")).strip())
    label = rng.choice((member, member, member.title(), member.upper(), member.replace("_", " ").lower(), shown))
    return Shown(shown, Choice(member), "|".join(table), label)


def boolean(rng: Scribe, clauses: str) -> Shown:
    """A clause that says yes or one that says no; a form shows yes or no."""
    yes, _, no = clauses.partition("/")
    value = rng.chance(0.5)
    said = rng.vary(rng.choice((yes if value else no).split(";"))).strip()
    return Shown(said, value, "boolean", rng.choice(_YES_NO)[0 if value else 1])


def several(rng: Scribe, values: list[Shown]) -> Shown:
    """An array of different values, inline or one a line."""
    shown = {value.text: value for value in values if not isinstance(value.gold, list)}
    texts = list(shown)
    if rng.chance(0.65):
        joined = ", ".join(texts[:-1]) + (rng.choice((" and ", ", ", ", and ", " & ")) if texts[1:] else "") + texts[-1]
    else:
        joined = rng.choice(("\n- ", "\n* ", "\n", "; ", "\n• ")).join(["", *texts]).strip(";")
    label = rng.choice((", ", "; ", " / ", "\n  - ", "\n- ")).join(texts)
    is_numbers = all(isinstance(value.gold, Digits) for value in shown.values())
    gold: list[Gold] = [value.gold if is_numbers else text for text, value in shown.items()]
    kind = "number[]" if is_numbers else "string[]"
    return Shown(joined.rstrip() if "\n" in joined else joined.strip(), gold, kind, label)
