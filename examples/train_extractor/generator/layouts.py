"""Sentences and labelled values -> a document: letter, form, receipt, e-mail, chat, table, note."""

from __future__ import annotations

import textwrap
from random import Random

from .pools import load_pools, words
from .values import make

_NOISE = (
    "The weather was fine that day.",
    "Thank you for your patience.",
    "Please keep this for your records.",
    "If you have any questions, let us know.",
    "This message was written automatically.",
    "Best wishes from {person}.",
    "Our office is closed on {date}.",
    "The next newsletter appears on {date}.",
    "{person} says hello.",
    "We moved to {address} last year.",
    "Please do not reply to {email}.",
    "The hotline {phone} is open all day.",
    "More than {int 3 900} people have asked about this.",
    "See {url} for the small print.",
    "Nothing else has changed.",
    "{person} from {company} was also there.",
    "A copy goes to {person}.",
    "Last time it was {money}.",
    "In {city} things are different.",
    "The old number {code} is no longer in use.",
    "There are {int 2 40} more of these.",
    "We would be glad to hear from you.",
    "{company} is not involved.",
    "It has been raining since {date}.",
    "As discussed with {person} on the phone.",
    "Page {int 1 9} of {int 9 20}",
    "Sent from my phone",
    "Confidential.",
    "About {percent} of our customers agree.",
    "The lift is out of order.",
    "Printed on {date}.",
    "All rights reserved.",
    "The parking lot behind the building is free of charge.",
    "Some say that {person} knew it.",
    "Yours faithfully,",
    "Unlike {company}, we answer every letter.",
    "Those in {country} know this well.",
    "It took {int 2 50} minutes.",
)
PLAIN = (
    "The {k} is {v}.",
    "Its {k} is {v}.",
    "{k}: {v}.",
    "We noted {v} as the {k}.",
    "{v} is the {k}.",
    "It has a {k} of {v}.",
    "For the {k}, {v} was given.",
    "As {k} we have {v}.",
    "The {k} was set to {v}.",
    "Regarding the {k}: {v}.",
    "with {k} {v}",
    "({k} {v})",
)
_GREETINGS = (
    "Hello,",
    "Hi {first_name},",
    "Dear {person},",
    "Dear Sir or Madam,",
    "Good morning,",
    "Hey,",
    "Hi all,",
    "To whom it may concern,",
    "Dear team,",
    "Greetings,",
    "Hi there",
)
_CLOSINGS = (
    "Best regards,\n{person}",
    "Thanks!\n{first_name}",
    "Kind regards\n{person}\n{company}",
    "Cheers, {first_name}",
    "Sincerely,\n{person}",
    "Regards,\n{person}\n{job}\n{phone}",
    "-- \n{person} | {email}",
    "Yours,\n{first_name}",
    "Many thanks",
)


def fill(rng: Random, template: str) -> str:
    """Replace every {spec} by a value of it."""
    out, rest = "", template
    while "{" in rest:
        before, _, rest = rest.partition("{")
        spec, _, rest = rest.partition("}")
        out += before + make(rng, spec).text
    return out + rest


def noise_sentence(rng: Random) -> str:
    """Something beside the point: a stock sentence, or a sentence of random words."""
    if rng.random() < 0.75:
        return fill(rng, rng.choice(_NOISE))
    return words(rng, 4, 9).capitalize() + rng.choice((".", ".", "!", "?"))


def sprinkle(rng: Random, sentences: list[str], share: float) -> list[str]:
    """Noise before each sentence and at the end with the probability `share`."""
    out = []
    for sentence in sentences:
        if rng.random() < share:
            out.append(noise_sentence(rng))
        out.append(sentence)
    return out + ([noise_sentence(rng)] if rng.random() < share else [])


def prose(rng: Random, sentences: list[str]) -> str:
    """Paragraphs, some hard-wrapped, so that values run over line ends."""
    text = sentences[0]
    for sentence in sentences[1:]:
        text += rng.choice((" ", " ", " ", "\n", "\n\n")) + sentence
    if rng.random() < 0.2:
        width = rng.randint(30, 76)
        lines = (
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in text.split("\n")
        )
        text = "\n".join(lines)
    return text


def letter(rng: Random, sentences: list[str]) -> str:
    """Prose between a greeting and a closing."""
    head = fill(rng, rng.choice(_GREETINGS)) + rng.choice(("\n", "\n\n", " "))
    return head + prose(rng, sentences) + rng.choice(("\n", "\n\n")) + fill(rng, rng.choice(_CLOSINGS))


def email(rng: Random, sentences: list[str], subject: str) -> str:
    """Mail headers above a letter."""
    sender = (
        f"{make(rng, 'person').text} <{make(rng, 'email').text}>" if rng.random() < 0.6 else make(rng, "email").text
    )
    headers = [
        f"From: {sender}",
        f"To: {make(rng, 'email').text}",
        f"Date: {make(rng, 'date').text}",
        f"Subject: {subject}",
    ]
    kept = [header for header in headers if header.startswith("Subject") or rng.random() < 0.7]
    rng.shuffle(kept)
    return "\n".join(kept) + "\n\n" + letter(rng, sentences)


def chat(rng: Random, sentences: list[str]) -> str:
    """Two people take turns."""
    names = rng.sample(load_pools().first_names, 2)
    form = rng.choice(("{n}: {s}", "[{t}] {n}: {s}", "{n} ({t}): {s}", "<{n}> {s}", "{t} {n}\n{s}"))
    return "\n".join(
        form.format(n=rng.choice(names), t=make(rng, "time").text, s=s.replace("\n", " ")) for s in sentences
    )


def form(rng: Random, rows: list[tuple[str, str]]) -> str:
    """Labels and values in one style for the whole form."""
    style = rng.choice(
        (
            "{k}: {v}",
            "{k}: {v}",
            "{k}: {v}",
            "{k} : {v}",
            "{k}:{v}",
            "{k} - {v}",
            "{k} = {v}",
            "{k}\n{v}",
            "{k}\n  {v}",
            "{k}:\n{v}\n",
            "{k} .... {v}",
            "{k} | {v}",
            "| {k} | {v} |",
            "- {k}: {v}",
            "* {k}: {v}",
            "**{k}:** {v}",
            "**{k}**: {v}",
            "{k}\t{v}",
            "{k}  {v}",
            "{k}; {v}",
            "{p}: {v}",
            "{p} {v}",
            "{k} > {v}",
            "[{k}] {v}",
            "<{k}>{v}</{k}>",
            '"{k}": "{v}"',
        )
    )
    width = max(len(k) for k, _ in rows)
    joint = "\n" if rng.random() < 0.85 or "\n" in style else rng.choice(("; ", ", ", " | ", "  ", " / "))
    return joint.join(style.format(k=k, v=v, p=k.ljust(min(width, 18))) for k, v in rows)


def columns(rng: Random, rows: list[tuple[str, str]]) -> str:
    """A header line with all labels, a line with all values, as in a table or CSV."""
    joint = rng.choice((" | ", ",", ";", "\t", "  "))
    return joint.join(k for k, _ in rows) + "\n" + joint.join(" ".join(v.split()) for _, v in rows)
