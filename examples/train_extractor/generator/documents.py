"""Facts of a kind -> a document: a letter with head and signature, a form, a mail, a chat, prose.

    head   the sender's lines, unlabelled        rows    labelled lines, in one or two blocks
    date   to   title                            body    sentences
    top    tables                                sign, foot

Every fact goes to one place. What the kind does not ask for may stand beside it: stock sentences, facts of other
kinds with values of the same types, old values. A slot that the kind has but the document does not state is never
filled by these, so that null is right.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from . import layouts
from .fill import old_value, stock_sentence, unrelated
from .library import Fact, Kind, Slot, Split, foreign_phrases, foreign_slots, load_facts
from .scribe import Scribe
from .state import label_of, row, sentence, sentences
from .values import make

_LABELLED_TO = ("To:", "Bill to:", "Customer:", "For:", "Attn:", "An:", "Deliver to:", "Sold to:")
_CLOSINGS = (
    *("Best regards,", "Kind regards", "Sincerely,", "Yours faithfully,", "Thanks,", "Cheers,", "Regards"),
    *("Mit freundlichen Grüßen", "Many thanks", "Cordialement,", "Yours sincerely", "--", "Thank you"),
)
_GREETINGS = (
    *("Hello,", "Dear Sir or Madam,", "Good morning,", "Hey,", "Hi all,", "To whom it may concern,", "Dear team,"),
    *("Sehr geehrte Damen und Herren,", "Hi there", "Dear customer,", "Madame, Monsieur,", "Greetings,"),
)
_MAIL_DATES = ("Date", "Sent", "Datum")


@dataclass(slots=True)
class Draft:
    """A document under way: its blocks, the facts stated so far, and those still to place."""

    rng: Scribe
    kind: Kind
    split: Split
    facts: dict[str, Fact]
    left: dict[str, Fact] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)

    def take(self, place: str, share: float) -> list[Fact]:
        """Facts that may stand at a place and do, this time."""
        names = [name for name in self.kind.at(place) if name in self.left and self.rng.chance(share)]
        return [self.left.pop(name) for name in names]

    def add(self, *lines: str) -> None:
        """A block of lines; empty ones are left out."""
        text = "\n".join(line for line in lines if line)
        if text:
            self.blocks.append(text)

    def aside(self, spec: str, share: float) -> str:
        """A value beside the point, unless the kind itself speaks of such values."""
        is_known = any(slot.spec.split()[0] == spec.split()[0] for slot in self.kind.slots.values())
        return "" if is_known or not self.rng.chance(share) else make(self.rng, spec).text


def choose_facts(rng: Scribe, kind: Kind, split: Split, most: int) -> dict[str, Fact]:
    """Values for some of a kind's slots; those with a place of their own more often."""
    placed = {name for names in kind.places.values() for name in names}
    count = rng.randint(4, most)
    spoken = _spoken(rng, kind) if split is Split.TRAIN else kind.slots
    names = sorted(spoken, key=lambda name: rng.random() * (0.55 if name in placed else 1.0))[:count]
    if split is Split.WORDINGS:  # a sentence never heard before, or none
        names = [n for n in names if kind.slots[n].says or any(f"{{{n}}}" in g[-1] for g in kind.groups)] or names
    return {name: Fact(spoken[name], make(rng, spoken[name].spec)) for name in names}


def _spoken(rng: Scribe, kind: Kind) -> dict[str, Slot]:
    """The kind's slots in the document's language; all of them, in English, where it knows too few."""
    facts = foreign_slots(rng.language) if rng.language else {}
    known = {name: facts[name] for name, slot in kind.slots.items() if name in facts and slot is load_facts()[name]}
    if len(known) < 4:
        rng.language = ""
    return known if rng.language else kind.slots


def document(rng: Scribe, kind: Kind, split: Split, *, is_long: bool) -> Draft:
    """Lay out some facts of a kind."""
    draft = Draft(rng, kind, split, choose_facts(rng, kind, split, rng.choice((6, 9, 12, 16, 18))))
    draft.left = dict(draft.facts)
    roll = rng.random()
    if split is Split.WORDINGS or roll < 0.2:
        _prose(draft)
    elif roll < 0.38:
        _form(draft)
    elif roll < 0.5:
        _mail(draft)
    elif roll < 0.55:
        _chat(draft)
    else:
        _sheet(draft)
    if is_long:
        _lengthen(draft)
    return draft


def _extras(draft: Draft, most: int) -> list[Fact]:
    """Facts that the kind does not speak of, with values of the types that it does."""
    roots = {fact.slot.spec.split()[0] for fact in draft.facts.values()}
    slots: list[Slot] = list(draft.kind.slots.values())
    out = []
    for _ in range(0 if draft.rng.language else draft.rng.randint(0, most)):
        slot = unrelated(draft.rng, slots, roots)
        if slot:
            slots.append(slot)
            out.append(Fact(slot, make(draft.rng, slot.spec)))
    return out


def _say(draft: Draft, facts: dict[str, Fact], noise: float) -> list[str]:
    """Sentences for facts, with sentences beside the point between them."""
    rng, split = draft.rng, draft.split
    out = []
    for said in sentences(rng, draft.kind, facts, split):
        if rng.chance(0 if rng.language else noise):
            out.append(stock_sentence(rng))
        out.append(said)
    for extra in _extras(draft, rng.choice((0, 0, 1, 2))):
        out.insert(rng.randint(0, len(out)), sentence(rng, extra, Split.TRAIN))
    old = rng.choice(list(facts.values())) if facts and rng.chance(0.12) else None
    if old and old.slot.is_phrase and not rng.language:
        remark = old_value(rng, old, label_of(rng, old.slot, split).lower())
        out += [remark] if remark else []
    return out


def _prose(draft: Draft) -> None:
    rng = draft.rng
    if draft.kind.titles and rng.chance(0.25):
        draft.add(rng.choice(draft.kind.titles))
    if rng.chance(0.35):
        draft.add(_greeting(draft))
    said = _say(draft, draft.left, rng.choice((0, 0, 0.2, 0.4)))
    draft.add(layouts.bullets(rng, said) if rng.chance(0.08) else layouts.prose(rng, said))
    if rng.chance(0.3):
        _sign(draft)


def _rows(draft: Draft, facts: Collection[Fact], most_extras: int) -> str:
    rows = [row(draft.rng, fact, draft.split) for fact in [*facts, *_extras(draft, most_extras)]]
    if draft.rng.chance(0.4):
        draft.rng.shuffle(rows)
    return layouts.form(draft.rng, rows) if rows else ""


def _form(draft: Draft) -> None:
    rng = draft.rng
    if rng.chance(0.6):
        draft.add(rng.choice(draft.kind.titles) if draft.kind.titles else draft.kind.name.title())
    facts = list(draft.left.values())
    cut = rng.randint(1, len(facts)) if rng.chance(0.35) else len(facts)
    draft.add(_rows(draft, facts[:cut], 3))
    if facts[cut:]:
        draft.add(rng.choice(("Details", "Further information", "Other", "", "---", "")), _rows(draft, facts[cut:], 2))
    if rng.chance(0.3):
        draft.add(stock_sentence(rng))


def _greeting(draft: Draft) -> str:
    rng = draft.rng
    if rng.language:
        return rng.choice(foreign_phrases(rng.language, "greeting"))
    names = [n for n in draft.kind.at("to") if n in draft.facts and draft.facts[n].slot.spec == "person"]
    if names and rng.chance(0.7):
        return f"{rng.choice(('Dear', 'Hello', 'Hi', 'Dear'))} {draft.facts[names[0]].shown.text},"
    return rng.choice(_GREETINGS)


def _sign(draft: Draft) -> None:
    """A closing and the one who signs; no name where the kind asks for a signer that is not stated."""
    rng = draft.rng
    signer = draft.take("sign", 0.9) or [draft.facts[name] for name in draft.kind.at("sign") if name in draft.facts]
    name = signer[0].shown.text if signer else "" if draft.kind.at("sign") else draft.aside("person", 0.6)
    gap = rng.choice(("", "", "\n"))
    contact = draft.take("foot", 0.5)
    lines = [row(rng, f, draft.split) for f in contact]
    draft.add(
        rng.choice(foreign_phrases(rng.language, "closing") if rng.language else _CLOSINGS) + gap,
        name,
        draft.aside("job", 0.3) if name else "",
        *(f"{line.label} {line.value}" if rng.chance(0.7) else line.value for line in lines),
        draft.aside("phone", 0.25),
        draft.aside("email", 0.2),
    )


def _mail(draft: Draft) -> None:
    """Headers, greeting, sentences, some labelled lines, signature."""
    rng, facts = draft.rng, draft.facts
    signer = next((facts[name].shown.text for name in draft.kind.at("sign") if name in facts), "")
    own_mail = next((fact.shown.text for name, fact in facts.items() if name == "email"), "")
    sender = signer or ("" if draft.kind.at("sign") else make(rng, "person").text)
    mail = own_mail or draft.aside("email", 1.0)
    headers = [f"From: {sender} <{mail}>" if sender and mail else f"From: {sender or mail}" if sender or mail else ""]
    if own_mail and headers[0]:
        draft.left.pop("email", None)
    date = facts["letter_date"].shown.text if "letter_date" in facts else draft.aside("date", 0.7)
    headers += [
        f"To: {mail}" if (mail := draft.aside("email", 0.7)) else "",
        f"{rng.choice(_MAIL_DATES)}: {date}" if date else "",
    ]
    subject = rng.choice(draft.kind.titles or (draft.kind.name.title(),))
    rng.shuffle(headers)
    draft.add(*headers, f"Subject: {subject}")
    cut = [name for name in draft.left if rng.chance(rng.choice((0.1, 0.5)))]
    rows = [draft.left.pop(name) for name in cut if name not in draft.kind.at("sign")]
    draft.add(_greeting(draft) if rng.chance(0.8) else "")
    said = _say(draft, {n: f for n, f in draft.left.items() if n not in draft.kind.at("sign")}, 0.2)
    body = [layouts.prose(rng, said)] if said else []
    body += [_rows(draft, rows, 1)] if rows else []
    draft.add(*rng.sample(body, len(body)))
    draft.left = {n: f for n, f in draft.left.items() if n in draft.kind.at("sign")}
    _sign(draft)


def _chat(draft: Draft) -> None:
    signer = next((draft.facts[n].shown.text for n in draft.kind.at("sign") if n in draft.facts), "")
    draft.add(layouts.chat(draft.rng, _say(draft, draft.left, 0.3), signer if draft.rng.chance(0.5) else ""))


def _sheet(draft: Draft) -> None:
    """The parts of an official paper, each of them there or not."""
    rng, signers = draft.rng, draft.kind.at("sign")
    _top(draft)
    tables, foot = draft.take("top", 0.8), draft.take("foot", 0.6)
    share = rng.choice((0.15, 0.4, 0.6, 0.85, 1.0))
    loose = [name for name in draft.left if name not in signers]
    rows = [draft.left.pop(name) for name in loose if rng.chance(share)]
    said = {name: draft.left.pop(name) for name in loose if name in draft.left}
    cut = rng.randint(0, len(rows)) if rng.chance(0.5) else len(rows)
    body = layouts.prose(rng, _say(draft, said, rng.choice((0, 0.2, 0.4)))) if said else ""
    if body and rng.chance(0.4):
        body = _greeting(draft) + "\n" + body
    for part in rng.sample([_rows(draft, rows[:cut], 2), body], 2):
        draft.add(part)
    draft.add(*(fact.shown.labelled for fact in tables))
    draft.add(_rows(draft, rows[cut:], 2))
    if draft.left or (body and rng.chance(0.4)):
        _sign(draft)
    draft.add(*(sentence(rng, fact, draft.split) for fact in draft.left.values()))
    _foot(draft, foot)


def _top(draft: Draft) -> None:
    """Who writes, to whom, when, about what: unlabelled lines."""
    rng = draft.rng
    head = [fact.shown.text for fact in draft.take("head", 0.85)]
    if head and rng.chance(0.4):
        asides = (("address", 0.7), ("phone", 0.4), ("email", 0.3), ("url", 0.2))
        head += [draft.aside(spec, share) for spec, share in asides]
    to = [fact.shown.text for fact in draft.take("to", 0.8)]
    if to:
        to = [rng.choice(_LABELLED_TO) if rng.chance(0.4) else "", *to, draft.aside("address", 0.5)]
    date = [draft.left.pop("letter_date").shown.text] if "letter_date" in draft.left and rng.chance(0.6) else []
    title = [rng.choice(draft.kind.titles)] if draft.kind.titles and rng.chance(0.75) else []
    for part in [head, to, date, title] if rng.chance(0.7) else [title, head, date, to]:
        draft.add(*part)


def _foot(draft: Draft, facts: list[Fact]) -> None:
    """Small print: labelled values in one line or unlabelled, stock sentences."""
    rng = draft.rng
    rows = [row(rng, fact, draft.split) for fact in facts]
    texts = [f"{r.label}{rng.choice((':', '', ''))} {r.value}" if rng.chance(0.75) else r.value for r in rows]
    joint = rng.choice((" | ", " · ", "\n", "\n", ", ", " - "))
    draft.add(joint.join(texts), stock_sentence(rng) if rng.chance(0.3) else "")


def _lengthen(draft: Draft) -> None:
    """600 to 2,600 characters more, before, between and after."""
    rng = draft.rng
    budget = rng.randint(600, 2600)
    while budget > 0:
        extras = [sentence(rng, extra, Split.TRAIN) for extra in _extras(draft, 4)]
        extras += [stock_sentence(rng) for _ in range(rng.randint(1, 4))]
        rng.shuffle(extras)
        text = layouts.prose(rng, extras)
        rows = [row(rng, extra, Split.TRAIN) for extra in _extras(draft, 5)] if rng.chance(0.25) else []
        text = layouts.form(rng, rows) if rows else text
        draft.blocks.insert(rng.randint(0, len(draft.blocks)), text)
        budget -= len(text)


def finish(rng: Scribe, blocks: list[str]) -> str:
    """Blocks -> text, with empty lines between them or not."""
    joint = rng.choice(("\n\n", "\n\n", "\n\n", "\n"))
    return joint.join(blocks).strip()
