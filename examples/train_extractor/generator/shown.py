"""A value as the document shows it, together with the right answer."""

from __future__ import annotations

from typing import NamedTuple

from ..prompt import Gold
from .scribe import Scribe


class Shown(NamedTuple):
    """A value: its text in a sentence, the right answer, the field's type, its text after a label."""

    text: str
    gold: Gold
    type: str = "string"
    label_text: str = ""

    @property
    def labelled(self) -> str:
        """How a form shows it."""
        return self.label_text or self.text

    @property
    def is_quoted(self) -> bool:
        """Whether the answer copies the text as it is."""
        return self.gold == self.text


def quoted(text: str, *types: str, rng: Scribe | None = None, share: float = 0.5) -> Shown:
    """A string that the answer copies; its type is one of `types` in `share` of cases."""
    return Shown(text, text, rng.choice(types) if rng and types and rng.chance(share) else "string")
