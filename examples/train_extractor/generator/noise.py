"""Light damage to a document, as scanners and careless typing leave it; what the answer quotes stays whole."""

from __future__ import annotations

import re
from dataclasses import replace

from ..prompt import Example
from .check import problems
from .scribe import Scribe

_LOOKALIKES = {"o": "0", "l": "1", "i": "l", "e": "c", "m": "rn", "O": "0", "S": "5", "rn": "m", "a": "o", "t": "f"}


def _misread(rng: Scribe, text: str, share: float) -> str:
    def swap(match: re.Match[str]) -> str:
        return rng.choice((_LOOKALIKES.get(match[0], ""), match[0] * 2, "")) if rng.chance(share) else match[0]

    return re.sub(r"[a-zA-Z]", swap, text)


def _respaced(rng: Scribe, text: str, share: float) -> str:
    def swap(match: re.Match[str]) -> str:
        return rng.choice(("  ", "\n", " ", "   ")) if rng.chance(share) else match[0]

    return re.sub(r" ", swap, text)


def _recased(rng: Scribe, text: str, share: float) -> str:
    lines = text.split("\n")
    return "\n".join(line.upper() if rng.chance(share) else line for line in lines)


def damaged(rng: Scribe, example: Example) -> Example:
    """The example with a damaged document, line by line where that leaves every gold value standing."""
    harm = rng.choice((_misread, _misread, _respaced, _recased))
    share = rng.choice((0.01, 0.03, 0.06))
    for _ in range(3):
        noisy = replace(example, document=harm(rng, example.document, share))
        if not problems(noisy):
            return noisy
        share /= 2
    return example
