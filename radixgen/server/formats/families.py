"""The texts around a tool call, by family of models.

hermes   <tool_call>\\n{"name": "f", "arguments": {...}}\\n</tool_call>      Qwen 2.5 and 3, Hermes
llama3   {"name": "f", "parameters": {...}}                               Llama 3.1 to 3.3; one call an answer
mistral  [TOOL_CALLS][{"name": "f", "arguments": {...}}]                  Mistral; several in one list if required
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_SPECIAL = re.compile(r"<\[([^\]\s](?:[^\]]|\](?!>))*)\]>")


class Family(NamedTuple):
    """`<[NAME]>` is the special token of that name."""

    name: str
    trigger: str
    """With it a call begins inside free text."""
    head: str
    """Before the first call."""
    begin: str
    """Before the tool's name, as JSON text without its quotes."""
    middle: str
    """Between the name and the arguments."""
    end: str
    """After the arguments."""
    between: str | None
    """Between two calls; None: there is one at most."""
    tail: str
    """After the last call."""

    def opening(self, tool: str) -> str:
        """All that stands before the arguments of a call."""
        return f"{self.begin}{json.dumps(tool)[1:-1]}{self.middle}"


HERMES = Family("hermes", "<tool_call>", "", '<tool_call>\n{"name": "', '", "arguments": ', "}\n</tool_call>", "\n", "")
LLAMA3 = Family("llama3", '{"name": "', "", '{"name": "', '", "parameters": ', "}", None, "")
MISTRAL = Family("mistral", "<[[TOOL_CALLS]]>", "<[[TOOL_CALLS]]>[", '{"name": "', '", "arguments": ', "}", ", ", "]")
FAMILIES = {family.name: family for family in (HERMES, LLAMA3, MISTRAL)}


def visible(text: str) -> str:
    """A text as a reader of the answer sees it: special tokens have none."""
    return _SPECIAL.sub("", text)
