"""Token ids to text as they come, whole characters only.

A character may be spread over tokens, so bytes wait until they make one. Bytes that can no longer become a character
turn into U+FFFD when that is certain, an unfinished one at the end turns into it in `flush`. However the ids are cut
into pushes, the texts together equal the bytes of all ids decoded at once.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from radixgen.tokens.vocabulary import Vocabulary

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Detokenizer:
    """One answer's text. Special ids have no text."""

    def __init__(self, vocabulary: Vocabulary, skip_bytes: int = 0) -> None:
        """skip_bytes: at the start, that are no part of the text."""
        self._vocabulary = vocabulary
        self._decoder = _new_decoder(errors="replace")
        self._skip_bytes = skip_bytes

    def push(self, token_id: int) -> str:
        """The characters that this id completes."""
        return self.push_many((token_id,))

    def push_many(self, ids: Iterable[int]) -> str:
        """The characters that these ids complete."""
        data = self._vocabulary.text_bytes(ids)
        skipped, self._skip_bytes = self._skip_bytes, max(0, self._skip_bytes - len(data))
        return self._decoder.decode(data[skipped:])

    def flush(self) -> str:
        """What an unfinished character turns into at the end of the answer; usually nothing."""
        return self._decoder.decode(b"", final=True)

    def fork(self) -> Detokenizer:
        """Another that goes on from here."""
        twin = Detokenizer(self._vocabulary, self._skip_bytes)
        twin._decoder.setstate(self._decoder.getstate())
        return twin
