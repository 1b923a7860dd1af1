"""Structural tags and thinking, as rules: text up to the first of some marks, what the marks promise, text again.

    (free text up to and with a trigger, the rest of a tag that begins so, its content, its end)*  free text

Free text holds no trigger: where one is complete, a tag goes on. Of triggers that share a place in the text, the one
that is complete first counts. `<[NAME]>` is a special token, which free text never holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from radixgen.automata import codepoints
from radixgen.automata.regex_parse import Chars
from radixgen.errors import GrammarError
from radixgen.grammar.parts import special_bytes
from radixgen.grammar.rules import Either, Embed, Except, Literal, Pattern, Rule, Rules, Seq, Special, Times, Tree
from radixgen.params import StructuralTags, Tag, Thinking

_CHAR = Pattern(Chars(codepoints.ANY))
ANYTHING = Times(_CHAR, 0, None)
SOMETHING = Times(_CHAR, 1, None)
_SPECIAL = re.compile(r"<\[([^\]\s](?:[^\]]|\](?!>))*)\]>")

Mark = tuple[Literal | Special, ...]
"""A text in which special tokens are named."""


def read_mark(text: str) -> Mark:
    """Text and special tokens, in order."""
    pieces = _SPECIAL.split(text)  # text, name, text, name, ..., text
    marks = [Special(piece) if index % 2 else Literal(piece) for index, piece in enumerate(pieces)]
    return tuple(one for one in marks if one != Literal(""))


def mark_bytes(text: str) -> bytes:
    """What a text with special tokens in it is to a grammar."""
    mark = read_mark(text)
    return b"".join(special_bytes(one.name) if isinstance(one, Special) else one.text.encode() for one in mark)


def thinking_rules(thinking: Thinking) -> Rules:
    """The rules of free text up to a mark, then a constraint."""
    then = ANYTHING if thinking.then is None else Embed(thinking.then)
    return _rules(Seq((_until([_checked(thinking.end)], 0), then)))


def tag_rules(tags: StructuralTags) -> Rules:
    """The rules of free text with tags in it.

    Raises:
        GrammarError: for a trigger or end that mixes text and special tokens where it may not.
    """
    triggers = [_checked(trigger) for trigger in tags.triggers]
    begins = [(tag, read_mark(tag.begin)) for tag in tags.tags]
    alternatives: list[Tree] = []
    for index, trigger in enumerate(triggers):
        rests = [_tag(tag, rest) for tag, begin in begins if (rest := _rest(begin, trigger)) is not None]
        if rests:
            alternatives.append(Seq((_until(triggers, index), Either(tuple(rests)))))
    for tag, begin in begins:
        if all(_rest(begin, trigger) is None for trigger in triggers):
            raise GrammarError(f"the tag {tag.begin!r} begins with none of the triggers; add one")
    one, free = Either(tuple(alternatives)), _free(triggers)
    if tags.stop_after_first:
        return _rules(one if tags.at_least_one else Either((one, free)))
    return _rules(Seq((Times(one, int(tags.at_least_one), None), free)))


def _rules(tree: Tree) -> Rules:
    return Rules("start", {"start": Rule("start", tree)})


def _checked(text: str) -> Literal | Special:
    mark = read_mark(text)
    if len(mark) != 1:
        raise GrammarError(f"{text!r} mixes text and special tokens; a trigger or end is one text or one <[NAME]>")
    return mark[0]


def _rest(begin: Mark, trigger: Literal | Special) -> Mark | None:
    """What follows the trigger in a tag's beginning; None if it does not begin so."""
    first = begin[0] if begin else None
    if isinstance(first, Literal) and isinstance(trigger, Literal) and first.text.startswith(trigger.text):
        return (Literal(first.text[len(trigger.text) :]), *begin[1:])
    return begin[1:] if first == trigger else None


def _tag(tag: Tag, rest: Mark) -> Tree:
    """A tag behind its trigger."""
    if tag.content is not None:
        return Seq((*rest, Embed(tag.content), *read_mark(tag.end)))
    return Seq((*rest, _until([_checked(tag.end)], 0) if tag.end else ANYTHING))


def _free(marks: Iterable[Literal | Special]) -> Tree:
    """Text with none of the marks in it."""
    texts = tuple(mark for mark in marks if isinstance(mark, Literal))
    return Except(ANYTHING, Seq((ANYTHING, Either(texts), ANYTHING))) if texts else ANYTHING


def _until(marks: list[Literal | Special], index: int) -> Tree:
    """Text that ends with the mark of that index, with no mark complete before."""
    mark = marks[index]
    if isinstance(mark, Special):
        return Seq((_free(marks), mark))
    texts = tuple(one for one in marks if isinstance(one, Literal))
    return Except(Seq((ANYTHING, mark)), Seq((ANYTHING, Either(texts), SOMETHING)))
