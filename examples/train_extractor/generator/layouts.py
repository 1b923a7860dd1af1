"""Sentences and labelled lines -> text: paragraphs, forms in many styles, columns, chats."""

from __future__ import annotations

import textwrap

from .dates import time_text
from .pools import load_pools
from .scribe import Scribe
from .state import Row

_ROW_STYLES = (
    *("{k}: {v}",) * 7,
    *("{k} : {v}", "{k}:{v}", "{k} - {v}", "{k} = {v}", "{k}\n{v}", "{k}\n  {v}", "{k}:\n{v}\n", "{k} .... {v}"),
    *("{k} | {v}", "| {k} | {v} |", "- {k}: {v}", "* {k}: {v}", "**{k}:** {v}", "**{k}**: {v}", "{k}\t{v}", "{k}  {v}"),
    *("{k}; {v}", "{p}: {v}", "{p} {v}", "{p}  {v}", "{k} > {v}", "[{k}] {v}", "<{k}>{v}</{k}>", '"{k}": "{v}"'),
    *("{k}\t: {v}", "{k} {v}", "{d} {v}", "{v} ({k})", "# {k}\n{v}", "{k} -> {v}", "{r}", "_{k}_ {v}", "{k} / {v}"),
)
_JOINTS = ("; ", ", ", " | ", "  ", " / ", " · ")
_CHATS = ("{n}: {s}", "[{t}] {n}: {s}", "{n} ({t}): {s}", "<{n}> {s}", "{t} {n}\n{s}", "{n}, {t}\n> {s}", "- {n}: {s}")


def prose(rng: Scribe, sentences: list[str]) -> str:
    """Paragraphs, some hard-wrapped, so that values run over line ends."""
    text = "".join(sentence + rng.choice((" ", " ", " ", "\n", "\n\n")) for sentence in sentences).strip()
    if rng.chance(0.2):
        width = rng.randint(34, 84)
        lines = (
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in text.split("\n")
        )
        text = "\n".join(lines)
    return text


def bullets(rng: Scribe, sentences: list[str]) -> str:
    """One sentence a line, after a mark."""
    marks = rng.choice(("- ", "* ", "• ", "", "> "))
    return "\n".join((f"{i + 1}. " if marks == "> " else marks) + s for i, s in enumerate(sentences))


def form(rng: Scribe, rows: list[Row]) -> str:
    """Labels and values in one style for the whole form, lines or all in one."""
    if len(rows) > 2 and rng.chance(0.08) and not any("\n" in row.value for row in rows):
        return _columns(rng, rows)
    style = rng.choice(_ROW_STYLES)
    width = min(max(len(row.label) for row in rows) + rng.randint(0, 3), 26)
    lines = [
        style.format(
            k=row.label,
            v=row.value,
            p=row.label.ljust(width),
            d=row.label.ljust(width + 6, "."),
            r=row.label.ljust(width) + row.value.rjust(14),
        )
        for row in rows
    ]
    if "\n" in style or rng.chance(0.75):
        return "\n".join(lines)
    if rng.chance(0.4):
        return rng.choice(_JOINTS).join(lines)
    pairs = [lines[i : i + 2] for i in range(0, len(lines), 2)]
    return "\n".join(pair[0].ljust(38) + "   " + pair[1] if pair[1:] else pair[0] for pair in pairs)


def _columns(rng: Scribe, rows: list[Row]) -> str:
    """A header line with all labels, a line with all values, as in a table or CSV."""
    joint = rng.choice((" | ", ",", ";", "\t", "  ", "align"))
    if joint == "align":
        widths = [max(len(row.label), len(row.value)) + 2 for row in rows]
        return "\n".join("".join(row[i].ljust(w) for row, w in zip(rows, widths, strict=True)) for i in (0, 1))
    return joint.join(row.label for row in rows) + "\n" + joint.join(row.value for row in rows)


def chat(rng: Scribe, sentences: list[str], first: str) -> str:
    """Two people take turns; `first` is one of them."""
    names = [first or rng.choice(load_pools().first_names), rng.choice(load_pools().first_names)]
    style = rng.choice(_CHATS)
    return "\n".join(
        style.format(n=rng.choice(names), t=time_text(rng), s=" ".join(sentence.split())) for sentence in sentences
    )
