"""Pieces of a prompt to ids, and documents cut until they fit.

    pieces   given ids │ plain, quoted document, plain │ given ids │ plain
    runs               └─────── one text, one encoding ┘           └─ another

A run is encoded as one text, so what a tokenizer merges across a border between template and content is merged here
too. Cutting takes the surplus ids off the document's end by their places in the text and encodes again; where the new
end is split otherwise and still too long, it goes on. Every round takes at least one character.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.errors import ParamError, PromptTooLong
from radixgen.params import Document
from radixgen.tokens.encoder import RunEncoder

Int32 = npt.NDArray[np.int32]


class Plain(NamedTuple):
    """Text in which nothing is special."""

    text: str


class Quoted(NamedTuple):
    """Where a document stands: its index among the prompt's documents."""

    document: int


class Given(NamedTuple):
    """Ids as they are."""

    ids: tuple[int, ...]
    is_prefix: bool = False
    """Set before a text by the tokenizer itself: what follows still begins the text."""


Piece = Plain | Quoted | Given


class RenderedPrompt(NamedTuple):
    """What the scheduler and the grammar need of a prompt."""

    ids: Int32
    document: str | None
    """The text that verbatim strings quote: all documents as cut, a line break between them; None if there is none."""
    truncated_chars: int
    """Characters cut from the documents."""


class _Run(NamedTuple):
    pieces: tuple[Plain | Quoted, ...]
    is_first: bool

    def text(self, documents: list[str]) -> str:
        return "".join(_text(piece, documents) for piece in self.pieces)


class Fitter:
    """Makes ids of pieces, at most as many as fit. Thread-safe."""

    def __init__(self, encoder: RunEncoder, longest_token: int) -> None:
        """longest_token: bytes; no id stands for more characters than that."""
        self._encoder = encoder
        self._longest_token = longest_token

    def fit(
        self, pieces: Sequence[Piece], documents: Sequence[Document], max_len: int, *, truncate: bool
    ) -> RenderedPrompt:
        """At most `max_len` ids; with `truncate`, documents that may be cut are, the last one first.

        Raises:
            PromptTooLong: it does not fit, cut or not; says how long it is and how long it may be.
            ParamError: there is nothing to read.
        """
        runs = _runs(pieces)
        kept = [self._bound(document, max_len, truncate=truncate) for document in documents]
        while True:
            texts = [document.text[:length] for document, length in zip(documents, kept, strict=True)]
            arrays = [self._ids(run, texts) for run in runs]
            surplus = sum(map(len, arrays)) - max_len
            if surplus <= 0:
                break
            index = _cuttable(documents, kept, truncate=truncate)
            if index is None:
                raise PromptTooLong(f"prompt: {surplus + max_len} tokens where {max_len} fit{_advice(documents, kept)}")
            kept[index] = self._shorter(runs, texts, index, surplus)
            if not any(kept):
                raise PromptTooLong(f"prompt: more than {max_len} tokens without its document{_SHORTEN_REST}")
        if not any(map(len, arrays)):
            raise ParamError("prompt: it is empty; give at least one token of text or ids")
        cut = sum(len(document.text) for document in documents) - sum(kept)
        return RenderedPrompt(np.concatenate(arrays), "\n".join(texts) if documents else None, cut)

    def ids(self, pieces: Sequence[Piece]) -> Int32:
        """The ids of pieces that quote no document, as many as they are."""
        return np.concatenate([np.empty(0, np.int32), *(self._ids(run, []) for run in _runs(pieces))])

    def _bound(self, document: Document, max_len: int, *, truncate: bool) -> int:
        """Characters that could fit at best: a whole book is not tokenized to keep its first pages."""
        may_cut = truncate and document.may_cut
        return min(len(document.text), max(max_len, 0) * self._longest_token) if may_cut else len(document.text)

    def _ids(self, run: _Run | Given, texts: list[str]) -> Int32:
        if isinstance(run, Given):
            return np.array(run.ids, np.int32)
        return self._encoder.ids(run.text(texts), is_first=run.is_first)

    def _shorter(self, runs: list[_Run | Given], texts: list[str], index: int, surplus: int) -> int:
        """How many characters of a document stay when its last `surplus` ids go; 0 when it has no more than that."""
        run = next(run for run in reversed(runs) if isinstance(run, _Run) and Quoted(index) in run.pieces)
        where = run.pieces.index(Quoted(index))
        begin = sum(len(_text(piece, texts)) for piece in run.pieces[:where])
        starts = self._encoder.located(run.text(texts), is_first=run.is_first).starts
        first, stop = np.searchsorted(starts, (begin, begin + len(texts[index])))
        if stop - surplus <= first:
            return 0
        return min(int(starts[stop - surplus]) - begin, len(texts[index]) - 1)


def _text(piece: Plain | Quoted, documents: list[str]) -> str:
    return piece.text if isinstance(piece, Plain) else documents[piece.document]


def _runs(pieces: Sequence[Piece]) -> list[_Run | Given]:
    runs: list[_Run | Given] = []
    is_first = True
    for is_given, group in groupby(pieces, lambda piece: isinstance(piece, Given)):
        members = list(group)
        if is_given:
            runs += [piece for piece in members if isinstance(piece, Given)]
            is_first = is_first and all(piece.is_prefix for piece in members if isinstance(piece, Given))
        else:
            runs.append(_Run(tuple(piece for piece in members if not isinstance(piece, Given)), is_first))
            is_first = False
    return runs


def _cuttable(documents: Sequence[Document], kept: list[int], *, truncate: bool) -> int | None:
    candidates = [i for i, document in enumerate(documents) if truncate and document.may_cut and kept[i]]
    return candidates[-1] if candidates else None


_SHORTEN_REST = "; the document alone can be cut, so shorten the rest or make room"


def _advice(documents: Sequence[Document], kept: list[int]) -> str:
    """What to do about a prompt in which nothing is left to cut."""
    if not any(document.may_cut for document in documents):
        return ", and nothing in it may be cut; shorten it, or give its long text as a Document"
    if any(length and document.may_cut for document, length in zip(documents, kept, strict=True)):
        return ", and truncating is turned off; turn it on or shorten the document"
    return _SHORTEN_REST
