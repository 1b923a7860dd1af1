"""Special tokens: found in text that a template's author wrote, and in nothing else.

`SpecialTokens.split` finds them as the tokenizers library would: leftmost, the longest of those that start together,
with the white space that a token's `lstrip` and `rstrip` take in.

`Disguise` carries the text of others through a template. A template may look into what it is given (trim it, split it,
compare it), so ordinary text stays as it is; what must not be read as the template's own becomes one character of
Unicode's private plane 15, and is put back afterwards as plain text:

    content    "a <|e|> b"
    cover      "a ♦ b"
    template   "<|s|>a ♦ b<|e|>"
    reveal     "<|s|>a ", hidden "<|e|>", " b<|e|>"

Covered are whole special tokens, and the beginning or rest of one at either end of a content, which a template could
otherwise join with what it sets beside it. A template that cuts pieces out of a content's middle and joins them is
beyond this; none that we know of does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from radixgen.errors import ParamError
from radixgen.tokens.folder import AddedToken

T = TypeVar("T")

_FIRST, _LAST = 0xF0000, 0xFFFFD
_PRIVATE = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")


class SpecialTokens:
    """The special ones among a tokenizer's added tokens."""

    def __init__(self, added: Iterable[AddedToken]) -> None:
        tokens = sorted((token for token in added if token.special and token.content), key=lambda t: -len(t.content))
        self._ids = {token.content: token.id for token in tokens}
        self._written = re.compile("|".join(map(_pattern, tokens)) or "(?!)")
        self._texts = re.compile("|".join(re.escape(text) for text in self._ids) or "(?!)")
        self._starts = frozenset(text[:n] for text in self._ids for n in range(1, len(text)))
        self._ends = frozenset(text[-n:] for text in self._ids for n in range(1, len(text)))
        self._longest = max(map(len, self._ids), default=0)

    def split(self, text: str) -> list[str | int]:
        """Text in which special tokens count, as runs of plain text and ids; no run is empty."""
        pieces: list[str | int] = []
        end = 0
        for match in self._written.finditer(text):
            pieces += [text[end : match.start()], self._ids[match.group(match.lastindex or 0)]]
            end = match.end()
        pieces.append(text[end:])
        return [piece for piece in pieces if piece != ""]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where text of others could be taken for special tokens, or for a part of one at its ends; ascending."""
        inner = text.strip()
        begin = text.find(inner)
        end = begin + len(inner)
        spans = [match.span() for match in self._texts.finditer(text)]
        head = next((n for n in self._lengths(inner) if inner[:n] in self._ends), 0)
        tail = next((n for n in self._lengths(inner) if inner[-n:] in self._starts), 0)
        if head and not any(start < begin + head for start, _ in spans):
            spans.insert(0, (begin, begin + head))
        if tail and not any(stop > end - tail for _, stop in spans):
            spans.append((end - tail, end))
        return spans

    def _lengths(self, text: str) -> range:
        return range(min(len(text), self._longest - 1), 0, -1)


def _pattern(token: AddedToken) -> str:
    text = f"({re.escape(token.content)})"
    if token.single_word:
        text = rf"(?<!\w){text}(?!\w)"
    return (r"\s*" if token.lstrip else "") + text + (r"\s*" if token.rstrip else "")


class Hidden(NamedTuple, Generic[T]):
    """Something that a template carried without seeing it."""

    item: T


class Disguise(Generic[T]):
    """One rendering's private characters, each standing for one item. No text given to it may bring them along."""

    def __init__(self, specials: SpecialTokens, texts: Iterable[str]) -> None:
        """texts: all that goes into the rendering undisguised; private characters in it are left alone."""
        self._specials = specials
        self._taken = {letter for text in texts for letter in _PRIVATE.findall(text)}
        self._items: dict[str, T] = {}
        self._letters: dict[str, str] = {}
        self._next = _FIRST

    def hide(self, item: T) -> str:
        """One character that stands for the item."""
        letter = chr(self._next)
        while letter in self._taken:
            self._next += 1
            letter = chr(self._next)
        if self._next > _LAST:
            raise ParamError("prompt: too many parts, or too many characters of Unicode's plane 15; use fewer of them")
        self._next += 1
        self._items[letter] = item
        return letter

    def items(self) -> list[T]:
        """All that is hidden."""
        return list(self._items.values())

    def cover(self, text: str, item: Callable[[str], T]) -> str:
        """The text with everything in it that could pass for a special token hidden, as `item(that text)`."""
        pieces, end = [], 0
        for start, stop in self._specials.spans(text):
            found = text[start:stop]
            if found not in self._letters:
                self._letters[found] = self.hide(item(found))
            pieces += [text[end:start], self._letters[found]]
            end = stop
        return "".join(pieces) + text[end:]

    def reveal(self, text: str) -> list[str | Hidden[T]]:
        """A rendered text as runs of what was in plain sight and items, in order; no run is empty."""
        pieces: list[str | Hidden[T]] = []
        end = 0
        for match in _PRIVATE.finditer(text):
            if match[0] in self._items:
                pieces += [text[end : match.start()], Hidden(self._items[match[0]])]
                end = match.end()
        pieces.append(text[end:])
        return [piece for piece in pieces if piece != ""]
