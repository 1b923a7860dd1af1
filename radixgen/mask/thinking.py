"""A budget for thinking: once so many ids are written, what comes next is the mark that ends it."""

from __future__ import annotations

from typing import NamedTuple


class ThinkingBudget(NamedTuple):
    """Of an answer that begins with free text up to its first `end`."""

    end: bytes
    max_tokens: int

    def rest_of_end(self, text: bytes, completion: bytes) -> bytes:
        """What is left to write of the end mark, first what completes a character; nothing if the thinking is over.

        text: the answer so far. completion: some text that ends the answer, from there.
        """
        if self.end in text:
            return b""
        near = text[max(0, len(text) - len(self.end)) :]
        return completion[: (near + completion).index(self.end) + len(self.end) - len(near)]
