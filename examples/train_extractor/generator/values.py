"""Type specs of kinds/*.txt -> values. A spec is a word and its arguments: `int 1 30`, `pick red;blue`, `money`.

person company city country street address email phone url date time code word words title product job
money            a number, or a string with its currency
int LO HI        a whole number                     num LO HI UNIT,UNIT   a number before a unit
percent rating
pick A;B         a phrase, quoted                   enum a=phrase;phrase, b=phrase   judged from the phrase
bool Y;Y / N;N   judged from a clause               list SPEC             two to four of them
address_object   {street, city, postal_code}        line_items            {name, quantity, price}[]
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from ..prompt import Choice, Digits, Gold
from . import dates
from .pools import invent, load_pools, word, words


class Shown(NamedTuple):
    """A value: its text in a sentence, its text after a label, the right answer, the field's type."""

    text: str
    gold: Gold
    type: str = "string"
    label_text: str = ""

    @property
    def labelled(self) -> str:
        """How a form shows it."""
        return self.label_text or self.text


def quoted(text: str, *types: str, rng: Random | None = None) -> Shown:
    """A string that the answer copies; its type is one of `types` half of the time."""
    return Shown(text, text, rng.choice(types) if rng and types and rng.random() < 0.5 else "string")


def person(rng: Random) -> Shown:
    """Two-part names, some with a title, an initial or a family name first."""
    name = rng.choice(load_pools().persons)
    roll = rng.random()
    if roll < 0.12:
        name = f"{invent(rng).title()} {invent(rng).title()}"
    elif roll < 0.2:
        first, _, last = name.partition(" ")
        name = f"{first} {rng.choice('ABCDEFGHJKLMNPRSTW')}. {last}"
    elif roll < 0.27:
        name = f"{rng.choice(('Dr.', 'Mr', 'Ms', 'Mrs.', 'Prof.'))} {name}"
    return quoted(name)


def company(rng: Random) -> Shown:
    """Companies of faker's, invented ones, and names of two words with a trade."""
    roll = rng.random()
    if roll < 0.4:
        return quoted(" ".join(rng.choice(load_pools().companies).split()))
    head = (
        invent(rng).title() if roll < 0.75 else f"{word(rng).title()}{rng.choice((' ', ' & ', ''))}{word(rng).title()}"
    )
    tails = (
        "Ltd",
        "GmbH",
        "Inc.",
        "LLC",
        "Group",
        "Systems",
        "Logistics",
        "Foods",
        "Partners",
        "Studio",
        "Bank",
        "Supplies",
        "Electronics",
        "Services",
        "Bakery",
        "& Sons",
        "Insurance",
        "Energy",
        "Hotel",
        "Clinic",
        "",
    )
    return quoted(f"{head} {rng.choice(tails)}".strip())


def email(rng: Random) -> Shown:
    """name.part@domain.tld"""
    name = "".join(c for c in rng.choice(load_pools().persons).lower() if c.isascii() and (c.isalpha() or c == " "))
    name = name.strip().replace(" ", rng.choice((".", "_", "", "-"))) or invent(rng)
    tld = rng.choice(("com", "org", "net", "io", "de", "co.uk", "example", "fr"))
    return quoted(f"{name}{rng.choice(('', '', rng.randint(1, 99)))}@{invent(rng)}.{tld}", "email", rng=rng)


def phone(rng: Random) -> Shown:
    """Faker's, or digits in groups."""
    if rng.random() < 0.5:
        return quoted(rng.choice(load_pools().phones))
    separator = rng.choice((" ", "-", "."))
    groups = [str(rng.randint(10 ** (n - 1), 10**n - 1)) for n in rng.choice(((3, 3, 4), (2, 3, 4), (4, 6), (3, 4)))]
    return quoted(rng.choice(("", "", "+", "+44 ", "+1 ", "0")) + separator.join(groups))


def url(rng: Random) -> Shown:
    """A web address, some with a path."""
    path = rng.choice(("", "", f"/{invent(rng)}", f"/{word(rng)}/{rng.randint(1, 999)}"))
    head = rng.choice(("https://", "https://www.", "www.", ""))
    return quoted(f"{head}{invent(rng)}.{rng.choice(('com', 'org', 'io', 'net'))}{path}", "uri", rng=rng)


def code(rng: Random) -> Shown:
    """Reference numbers: INV-2024-0031, 88213-K, PO 4471 ..."""
    letters = "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(rng.randint(1, 4)))
    digits = str(rng.randint(10, 10 ** rng.randint(2, 7)))
    form = rng.choice(
        ("{l}-{d}", "{l}{d}", "{d}-{l}", "#{d}", "{l}-{y}-{d}", "{d}", "{l} {d}", "{d}/{y}", "{l}/{d}", "{d}{l}")
    )
    return quoted(form.format(l=letters, d=digits, y=rng.randint(1998, 2029)))


def digits(rng: Random, number: str) -> str:
    """A number with or without thousands separators."""
    whole, dot, rest = number.partition(".")
    if len(whole) > 3 and rng.random() < 0.6:
        whole = f"{int(whole):,}".replace(",", rng.choice((",", ",", ",", ",", "'")))
    return whole + dot + rest


def amount(rng: Random) -> str:
    """1 to 9,999,999, small ones more often; with cents or without."""
    value = 10 ** rng.uniform(0.3, rng.choice((2.5, 4, 4, 6.5)))
    return f"{value:.2f}" if rng.random() < 0.65 else str(int(value))


def money(rng: Random) -> Shown:
    """Currency before or after; the field is a number, sometimes the whole as a string."""
    plain = amount(rng)
    if rng.random() < 0.08:  # 1.250,00 EUR: as a string only
        text = f"{float(plain):,.2f}".translate(str.maketrans(",.", ".,")) + rng.choice((" EUR", " €", "€"))
        return quoted(text)
    shown = digits(rng, plain)
    form = rng.choice(
        (
            "${}",
            "${}",
            "€{}",
            "£{}",
            "{} EUR",
            "{} USD",
            "{} €",
            "EUR {}",
            "USD {}",
            "{} GBP",
            "CHF {}",
            "{} dollars",
            "{} euros",
            "$ {}",
            "{} kr",
            "{}",
            "Rs. {}",
        )
    )
    text = form.format(shown)
    return quoted(text) if rng.random() < 0.15 else Shown(text, Digits(plain), "number")


def integer(rng: Random, low: str, high: str) -> Shown:
    """A whole number between the bounds; years have no thousands separator."""
    plain = str(rng.randint(int(low), int(high)))
    is_year = 1800 < int(low) < int(high) < 2100
    return Shown(
        plain if is_year else digits(rng, plain), Digits(plain), rng.choice(("integer", "integer", "integer", "number"))
    )


def measure(rng: Random, low: str, high: str, units: str) -> Shown:
    """A number and its unit; the answer is the number, or the whole as a string."""
    value = rng.uniform(float(low), float(high))
    plain = f"{value:.{rng.choice((1, 2))}f}" if rng.random() < 0.5 else str(round(value))
    text = f"{digits(rng, plain)}{rng.choice((' ', ' ', ''))}{rng.choice(units.split(','))}"
    return quoted(text) if rng.random() < 0.15 else Shown(text, Digits(plain), "number")


def percent(rng: Random) -> Shown:
    """5%, 12.5 %"""
    plain = rng.choice((str(rng.randint(1, 99)), f"{rng.uniform(0, 30):.1f}"))
    return Shown(f"{plain}{rng.choice(('%', '%', ' %', ' percent'))}", Digits(plain), "number")


def rating(rng: Random) -> Shown:
    """4/5, 3 out of 5 stars"""
    plain = str(rng.randint(1, 5))
    return Shown(plain + rng.choice(("/5", " out of 5", " stars", " out of 5 stars", "")), Digits(plain), "integer")


def date(rng: Random) -> Shown:
    """As the document writes it, whatever the form."""
    return quoted(dates.date_text(rng), "date", rng=rng)


def time(rng: Random) -> Shown:
    """9:30, 14:05, 3 pm"""
    return quoted(dates.time_text(rng), "time", rng=rng)


def title(rng: Random) -> Shown:
    """A heading of two to five words, capitalised somehow."""
    text = words(rng, 2, 5)
    return quoted(rng.choice((text.title(), text[0].upper() + text[1:], f"The {text.title()}")))


def product(rng: Random) -> Shown:
    """Something that can be bought."""
    things = (
        "lamp",
        "office chair",
        "notebook",
        "USB-C cable",
        "desk",
        "printer paper",
        "coffee machine",
        "headphones",
        "bicycle",
        "backpack",
        "monitor",
        "keyboard",
        "water bottle",
        "tent",
        "jacket",
        "running shoes",
        "kettle",
        "mattress",
        "phone case",
        "toner cartridge",
        "drill",
        "garden hose",
        "blanket",
        "router",
        "tablet",
        "camera",
        "apples",
        "oat milk",
        "rye bread",
        "cheese",
        "olive oil",
        "batteries",
        "shampoo",
        "pens",
        "candles",
    )
    thing = rng.choice(things) if rng.random() < 0.7 else words(rng, 1, 2)
    thing = rng.choice((thing, thing.title(), thing.title(), f"{invent(rng).title()} {thing.title()}"))
    return quoted(
        thing + rng.choice(("", "", "", f" {rng.choice('ABCXZ')}{rng.randint(1, 900)}", f" {rng.randint(2, 90)}L"))
    )


def street(rng: Random) -> Shown:
    """Street and number."""
    return quoted(rng.choice(load_pools().addresses)[0])


def address(rng: Random) -> Shown:
    """One line of street, postcode, city."""
    line, postcode, city = rng.choice(load_pools().addresses)
    return quoted(rng.choice((f"{line}, {postcode} {city}", f"{line}, {city} {postcode}", f"{line}, {city}")))


def address_object(rng: Random) -> Shown:
    """The same, taken apart."""
    line, postcode, city = rng.choice(load_pools().addresses)
    text = rng.choice((f"{line}, {postcode} {city}", f"{line}, {city} {postcode}", f"{line}\n{postcode} {city}"))
    third = rng.choice(("postal_code", "zip", "postcode"))
    gold: dict[str, Gold] = {"street": line, "city": city, third: postcode}
    return Shown(text, gold, f"{{street: string, city: string, {third}: string}}")


def line_items(rng: Random) -> Shown:
    """Lines of a bill, as an array of objects."""
    name = rng.choice(("name", "item", "description", "product"))
    count = rng.choice(("qty", "quantity", "count"))
    price = rng.choice(("price", "amount", "unit_price"))
    form = rng.choice(
        (
            "{q} x {n} {p}",
            "{q} {n} {p}",
            "{n} x{q} @ {p}",
            "{n}, qty {q}, {p} each",
            "{q}x {n} at {p}",
            "{n} | {q} | {p}",
        )
    )
    rows: list[Gold] = []
    lines = []
    for _ in range(rng.randint(1, 4)):
        values = product(rng).text, str(rng.randint(1, 40)), f"{rng.uniform(1, 400):.2f}"
        rows.append({name: values[0], count: Digits(values[1]), price: Digits(values[2])})
        lines.append(form.format(n=values[0], q=values[1], p=rng.choice(("", "$")) + values[2]))
    text = rng.choice(("\n", "\n", "; ")).join(lines)
    return Shown(text, rows, f"{{{name}: string, {count}: integer, {price}: number}}[]")


def pick(rng: Random, phrases: str) -> Shown:
    """One of a few phrases, now and then with an invented word before it."""
    return quoted(rng.choice(phrases.split(";")).strip())


def enum(rng: Random, options: str) -> Shown:
    """A member judged from a phrase; a form shows the member itself. Members come in any order and case."""
    case = rng.choice((str.lower, str.lower, str.lower, str.title, str.upper))
    pairs = [option.partition("=") for option in options.split(",")]
    if rng.random() < 0.4:
        rng.shuffle(pairs)
    table = {case(key.strip()): phrases for key, _, phrases in pairs}
    member = rng.choice(list(table))
    shown = rng.choice(table[member].split(";")).strip()
    label = rng.choice((member, member, member.title(), member.upper(), member.replace("_", " ").lower(), shown))
    return Shown(shown, Choice(member), "|".join(table), label)


def boolean(rng: Random, clauses: str) -> Shown:
    """A clause that says yes or one that says no; a form shows yes or no."""
    yes, _, no = clauses.partition("/")
    value = rng.random() < 0.5
    label = rng.choice((("yes", "no"), ("Yes", "No"), ("true", "false"), ("Y", "N"), ("[x]", "[ ]"), ("YES", "NO")))
    return Shown(rng.choice((yes if value else no).split(";")).strip(), value, "boolean", label[0 if value else 1])


def several(rng: Random, spec: str) -> Shown:
    """An array of one to four different values, inline or one a line."""
    shown = {value.text: value for value in (make(rng, spec) for _ in range(rng.randint(1, 4)))}
    texts = list(shown)
    gold = [value.gold for value in shown.values()]
    if rng.random() < 0.65:
        joined = ", ".join(texts[:-1]) + (rng.choice((" and ", ", ", ", and ")) if texts[1:] else "") + texts[-1]
    else:
        joined = rng.choice(("\n- ", "\n* ", "\n", "; ")).join(["", *texts]).strip(";")
    label = rng.choice((", ", "; ", " / ", "\n  - ")).join(texts)
    kind = next(iter(shown.values())).type
    return Shown(
        joined.rstrip() if "\n" in joined else joined.strip(),
        gold,
        f"{kind if kind == 'number' else 'string'}[]",
        label,
    )


_MAKERS: dict[str, Callable[..., Shown]] = {
    "person": person,
    "company": company,
    "email": email,
    "phone": phone,
    "url": url,
    "code": code,
    "money": money,
    "date": date,
    "time": time,
    "title": title,
    "product": product,
    "street": street,
    "address": address,
    "address_object": address_object,
    "line_items": line_items,
    "percent": percent,
    "rating": rating,
    "int": integer,
    "num": measure,
    "first_name": lambda rng: quoted(rng.choice(load_pools().first_names)),
    "city": lambda rng: quoted(rng.choice(load_pools().cities)),
    "country": lambda rng: quoted(rng.choice(load_pools().countries)),
    "job": lambda rng: quoted(rng.choice(load_pools().jobs)),
    "word": lambda rng: quoted(word(rng)),
    "words": lambda rng: quoted(words(rng, 2, 4)),
}
_WHOLE_REST: dict[str, Callable[[Random, str], Shown]] = {"pick": pick, "enum": enum, "bool": boolean, "list": several}


def make(rng: Random, spec: str) -> Shown:
    """A value of the type that the spec names."""
    name, _, rest = spec.partition(" ")
    if name in _WHOLE_REST:
        return _WHOLE_REST[name](rng, rest)
    return _MAKERS[name](rng, *rest.split(maxsplit=2))
