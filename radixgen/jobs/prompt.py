"""The extraction prompt, made in this one place for every model.

A system message (instructions, then the fields) and a user message that is one `Document`. What all documents of a
job share comes first, so a batch computes it once. The built-in model's chat template maps this to its own format and
leaves the default instructions out, which it never saw in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radixgen.jobs.fields import field_lines
from radixgen.params import Document, Message, Text

INSTRUCTIONS = (
    "Read the document and fill in the fields below. Copy values exactly as they are written. "
    "Use null for what the document does not say."
)


FIELDS_MARK = "\n\nFields:\n"
"""Between instructions and fields; a chat template that looks for it reads them in its own way."""


def system_text(schema: Mapping[str, Any], instructions: str | None = None) -> str:
    """Instructions, a blank line, `Fields:` and one line per field."""
    return (instructions or INSTRUCTIONS).strip() + FIELDS_MARK + "\n".join(field_lines(schema))


def extraction_prompt(system: str, text: str, *, may_cut: bool = True) -> list[Message]:
    """The prompt for one document; `system` comes from `system_text` and is the same for the whole job."""
    return [Message("system", (Text(system),)), Message("user", (Document(text, may_cut),))]
