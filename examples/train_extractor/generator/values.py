"""Specs of the fact library and of kinds -> values. A spec is a word and its arguments: `int 1 30`, `pool things`.

person first_name company city country street address email phone url date time code word words title product
job tracking iban taxid plate flightno filename version postcode timespan period
money            a number, or a string with its currency
int LO HI        a whole number                     num LO HI UNIT,UNIT   a number before a unit
percent rating
pool NAME        a phrase of words/pools.txt        pick A;B              one of these phrases
enum a=phrase;phrase, b=phrase   judged from it     bool Y;Y / N;N        judged from a clause
list SPEC        one to four of them                address_object        {street, city, postal_code}
line_items       {name, quantity, price}[]
"""

from __future__ import annotations

from collections.abc import Callable

from ..prompt import IsoDate
from . import dates, numbers
from .compound import address_object, boolean, enum, line_items, several
from .pools import invent, load_pools, phrases, word, words
from .scribe import Scribe
from .shown import Shown, quoted

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TRADES = (
    *("Ltd", "Ltd.", "GmbH", "Inc.", "LLC", "AG", "S.A.", "B.V.", "Oy", "AB", "Co.", "KG", "Pty Ltd", "S.r.l.", "plc"),
    *("Group", "Systems", "Logistics", "Foods", "Partners", "Studio", "Bank", "Supplies", "Electronics", "Services"),
    *("Bakery", "& Sons", "Insurance", "Energy", "Hotel", "Clinic", "Market", "Café", "Pharmacy", "Tools", "Books"),
    *("Solutions", "Consulting", "Garden Centre", "Motors", "Travel", "Airlines", "Print", "Media", "Labs", ""),
)
_CODE_FORMS = (
    *("L-D", "LD", "D-L", "#D", "L-Y-D", "D", "L D", "D/Y", "L/D", "DL", "D", "L-D-D", "D-D", "Y-D", "Y/D", "L.D"),
    *("No. D", "LD-L", "L-YD", "D-D-D", "lD", "l-D"),
)


def person(rng: Scribe) -> Shown:
    """Two-part names, some with a title, an initial or a second family name."""
    name = rng.choice(load_pools().persons)
    roll = rng.random()
    first, _, last = name.partition(" ")
    if roll < 0.08:
        name = f"{invent(rng).title()} {invent(rng).title()}"
    elif roll < 0.14:
        name = f"{first} {rng.choice('ABCDEFGHJKLMNPRSTW')}. {last}"
    elif roll < 0.21:
        name = f"{rng.choice(('Dr.', 'Mr', 'Ms', 'Mrs.', 'Prof.', 'Mr.', 'Frau', 'Herr', 'Dr', 'Mme'))} {name}"
    elif roll < 0.24:
        name = f"{last}, {first}"
    elif roll < 0.27:
        name = f"{first[:1]}. {last}"
    return quoted(name)


def company(rng: Scribe) -> Shown:
    """Companies of faker's, invented ones, and names of two words with a trade."""
    roll = rng.random()
    if roll < 0.3:
        return quoted(" ".join(rng.choice(load_pools().companies).split()))
    last = rng.choice(load_pools().persons).split()[-1]
    head = invent(rng).title() if roll < 0.5 else word(rng).title() + rng.choice((" ", " & ", "")) + word(rng).title()
    head = rng.choice((last, last, f"{last} & {word(rng).title()}")) if roll > 0.75 else head
    return quoted(f"{head} {rng.choice(_TRADES)}".strip())


def email(rng: Scribe) -> Shown:
    """name.part@domain.tld, or an office's address"""
    name = "".join(c for c in rng.choice(load_pools().persons).lower() if c.isascii() and (c.isalpha() or c == " "))
    name = name.strip().replace(" ", rng.choice((".", ".", "_", "", "-"))) or invent(rng)
    if rng.chance(0.3):
        name = rng.choice(
            ("info", "office", "support", "sales", "hello", "billing", "contact", "jobs", "service", "hr")
        )
    host = rng.choice((invent(rng), f"{invent(rng)}-{word(rng).lower()}", word(rng).lower()))
    tld = rng.choice(("com", "com", "org", "net", "io", "de", "co.uk", "example", "fr", "it", "eu", "se"))
    return quoted(f"{name}{rng.choice(('', '', '', rng.randint(1, 99)))}@{host}.{tld}", "email", rng=rng)


def phone(rng: Scribe) -> Shown:
    """Faker's, or digits in groups."""
    if rng.chance(0.4):
        return quoted(rng.choice(load_pools().phones), "phone", rng=rng, share=0.15)
    separator = rng.choice((" ", "-", ".", " "))
    sizes = rng.choice(((3, 3, 4), (2, 3, 4), (4, 6), (3, 4), (2, 2, 2, 2), (3, 3, 3)))
    groups = separator.join(str(rng.randint(10 ** (n - 1), 10**n - 1)) for n in sizes)
    head = rng.choice(("", "", "", "+", "+44 ", "+1 ", "0", "+49 30 ", "(020) ", f"({rng.randint(200, 989)}) ", "+33 "))
    return quoted(head + groups, "phone", rng=rng, share=0.15)


def url(rng: Scribe) -> Shown:
    """A web address, some with a path."""
    path = rng.choice(("", "", "", f"/{invent(rng)}", f"/{word(rng).lower()}/{rng.randint(1, 999)}"))
    head = rng.choice(("https://", "https://www.", "www.", "www.", ""))
    host = rng.choice((invent(rng), f"{word(rng)}-{word(rng)}".lower()))
    is_uri = head.startswith("http")
    return quoted(f"{head}{host}.{rng.choice(('com', 'org', 'io', 'net', 'de'))}{path}", *["uri"] * is_uri, rng=rng)


def code(rng: Scribe) -> Shown:
    """Reference numbers: INV-2024-0031, 88213-K, PO 4471 ..."""
    out = ""
    for mark in rng.choice(_CODE_FORMS):
        match mark:
            case "L":
                out += "".join(rng.choice(_LETTERS) for _ in range(rng.randint(1, 4)))
            case "l":
                out += "".join(rng.choice(_LETTERS.lower()) for _ in range(rng.randint(2, 3)))
            case "D":
                out += str(rng.randint(0, 10 ** rng.randint(2, 7) - 1)).zfill(rng.choice((1, 3, 4, 5)))
            case "Y":
                out += str(rng.today.year)
            case _:
                out += mark
    return quoted(out if len(out) > 2 else out + str(rng.randint(100, 999)))


def _numbers(rng: Scribe, *sizes: int) -> list[str]:
    return ["".join(rng.choice("0123456789") for _ in range(size)) for size in sizes]


def tracking(rng: Scribe) -> Shown:
    """Parcel numbers: long, with letters at the ends or in groups."""
    a, b, c = _numbers(rng, 8, 4, 10)
    letters = rng.choice(_LETTERS) + rng.choice(_LETTERS)
    forms = (f"1Z{a}{b}", f"{letters}{a}{letters[::-1]}", f"{c}{b}", f"{a[:4]} {b} {c[:4]}", f"JJD{c}{a}", c)
    return quoted(rng.choice(forms))


def iban(rng: Scribe) -> Shown:
    """Bank accounts, grouped or not, as IBAN or as a domestic number."""
    groups = _numbers(rng, 4, 4, 4, 4, 2)
    head = rng.choice(("DE", "FR", "GB", "NL", "ES", "IT", "AT", "CH")) + _numbers(rng, 2)[0]
    plain, domestic = _numbers(rng, 8, 10)
    return quoted(rng.choice((" ".join([head, *groups]), head + "".join(groups), plain, domestic, "****" + groups[0])))


def taxid(rng: Scribe) -> Shown:
    """VAT and tax numbers."""
    a, b, c = _numbers(rng, 9, 3, 2)
    forms = (f"DE{a}", f"GB {b} {a[:4]} {c}", f"FR{c}{a}", f"{c}-{a[:7]}", f"{b}/{b[::-1]}/{a[:5]}", f"ATU{a[:8]}", a)
    return quoted(rng.choice(forms))


def plate(rng: Scribe) -> Shown:
    """Number plates."""
    a, b = "".join(rng.choice(_LETTERS) for _ in range(3)), _numbers(rng, 4)[0]
    return quoted(
        rng.choice((f"{a[:2]}-{a[1:]} {b[:3]}", f"{a[:2]}{b[:2]} {a}", f"{a}-{b}", f"{a} {b[:3]}", f"{a[0]} {b}"))
    )


def flightno(rng: Scribe) -> Shown:
    """LH 432, U21234, ICE 577"""
    head = rng.choice(("LH", "BA", "AF", "KL", "U2", "FR", "DL", "ICE", "TGV", "IC", "SK", "IB", "EK", "TP", "RE"))
    return quoted(head + rng.choice((" ", "")) + str(rng.randint(10, 9899)))


def filename(rng: Scribe) -> Shown:
    """report_v2.pdf"""
    ending = rng.choice(("pdf", "xlsx", "docx", "csv", "png", "zip", "txt", "log"))
    return quoted(
        f"{word(rng).lower()}{rng.choice('_-')}{rng.choice((word(rng).lower(), rng.randint(1, 2026)))}.{ending}"
    )


def version(rng: Scribe) -> Shown:
    """2.1, v4, 10.2.0-beta"""
    body = ".".join(str(rng.randint(0, 14)) for _ in range(rng.randint(2, 3)))
    return quoted(rng.choice(("", "", "v", "v")) + body + rng.choice(("", "", "", "-beta", "rc1")))


def date(rng: Scribe) -> Shown:
    """As the document writes it, or as an ISO date where there is one reading."""
    day = dates.date_text(rng)
    if day.iso and rng.chance(0.45):
        return Shown(day.text, IsoDate(day.iso, day.text), "date")
    return quoted(day.text)


def timespan(rng: Scribe) -> Shown:
    """9:00-17:00, from 8 to 10 pm"""
    start, end = dates.time_text(rng), dates.time_text(rng)
    return quoted(rng.choice((f"{start}-{end}", f"{start} - {end}", f"{start} to {end}", f"{start} – {end}")))


def period(rng: Scribe) -> Shown:
    """12 March - 4 April 2024"""
    start, end = dates.date_text(rng).text, dates.date_text(rng).text
    return quoted(rng.choice((f"{start} - {end}", f"{start} to {end}", f"{start} – {end}", f"{start} until {end}")))


def title(rng: Scribe) -> Shown:
    """A heading: a known one, or two to five words, capitalised somehow."""
    if rng.chance(0.5):
        return quoted(rng.choice(phrases("topics")))
    text = words(rng, 2, 5)
    return quoted(rng.choice((text.title(), text[0].upper() + text[1:], f"The {text.title()}")))


def product(rng: Scribe) -> Shown:
    """Something that can be bought."""
    thing = rng.choice(phrases(rng.choice(("things", "things", "things", "groceries", "services"))))
    thing = words(rng, 1, 2) if rng.chance(0.15) else thing
    head = rng.choice((invent(rng).title(), rng.choice(load_pools().persons).split()[-1]))
    thing = rng.choice((thing, thing, thing[:1].upper() + thing[1:], thing.title(), f"{head} {thing.title()}"))
    size = rng.choice(
        (f"{rng.choice('ABCXZ')}{rng.randint(1, 900)}", f"{rng.randint(2, 90)}L", f"{rng.randint(1, 6)}0cm")
    )
    tail = rng.choice(("", "", "", "", f" {size}", f" ({rng.choice(phrases('colors'))})", f", {size}"))
    return quoted(thing + tail)


def job(rng: Scribe) -> Shown:
    """A position."""
    return quoted(rng.choice(phrases("titles")) if rng.chance(0.6) else rng.choice(load_pools().jobs))


def address(rng: Scribe) -> Shown:
    """Street, postcode and city, in one line or in lines."""
    line, postcode, city = rng.choice(load_pools().addresses)
    forms = (
        f"{line}, {postcode} {city}",
        f"{line}, {city} {postcode}",
        f"{line}, {city}",
        f"{line}\n{postcode} {city}",
    )
    shown = rng.choice(forms)
    return Shown(shown, " ".join(shown.split()))


def _from_pool(column: str) -> Callable[[Scribe], Shown]:
    return lambda rng: quoted(rng.choice(getattr(load_pools(), column)))


def _cased(rng: Scribe, phrase: str) -> Shown:
    """A phrase, now and then with a capital."""
    phrase = phrase.strip()
    return quoted(phrase[:1].upper() + phrase[1:] if rng.chance(0.15) else phrase)


_MAKERS: dict[str, Callable[..., Shown]] = {
    "person": person,
    "company": company,
    "email": email,
    "phone": phone,
    "url": url,
    "code": code,
    "tracking": tracking,
    "iban": iban,
    "taxid": taxid,
    "plate": plate,
    "flightno": flightno,
    "filename": filename,
    "version": version,
    "money": numbers.money,
    "date": date,
    "time": lambda rng: quoted(dates.time_text(rng)),
    "timespan": timespan,
    "period": period,
    "title": title,
    "product": product,
    "street": lambda rng: quoted(rng.choice(load_pools().addresses)[0]),
    "postcode": lambda rng: quoted(rng.choice(load_pools().addresses)[1]),
    "address": address,
    "address_object": address_object,
    "line_items": line_items,
    "percent": numbers.percent,
    "rating": numbers.rating,
    "int": numbers.integer,
    "num": numbers.measure,
    "first_name": _from_pool("first_names"),
    "city": _from_pool("cities"),
    "country": _from_pool("countries"),
    "job": job,
    "word": lambda rng: quoted(word(rng)),
    "words": lambda rng: quoted(words(rng, 2, 4)),
}
_WHOLE_REST: dict[str, Callable[[Scribe, str], Shown]] = {
    "pick": lambda rng, options: _cased(rng, rng.choice(options.split(";"))),
    "pool": lambda rng, name: _cased(rng, rng.choice(phrases(name))),
    "enum": enum,
    "bool": boolean,
    "list": lambda rng, spec: several(rng, [make(rng, spec) for _ in range(rng.randint(1, 4))]),
}


def make(rng: Scribe, spec: str) -> Shown:
    """A value of the type that the spec names."""
    name, _, rest = spec.partition(" ")
    if name in _WHOLE_REST:
        return _WHOLE_REST[name](rng, rest)
    return _MAKERS[name](rng, *rest.split(maxsplit=2))
