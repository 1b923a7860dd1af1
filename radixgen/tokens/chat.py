"""Chat templates, run in Jinja's immutable sandbox as transformers sets it up.

A template is code that came with a checkpoint: it sees only the messages and the names of special tokens, may change
nothing, reads no private attribute, and is stopped when it writes more than a prompt could need. What it refuses
(`raise_exception`) is the caller's mistake, a `ParamError`; what it may not do or cannot even say is a `ModelError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from radixgen.errors import ModelError, ParamError

_SPARE_CHARS = 1 << 20
"""What a template may write beyond twice what it was given."""
_WIDE_FORMAT = re.compile(r"\d{5}|\*")


def tool_format_of(source: str) -> str:
    """The family of texts around tool calls that a template speaks: "hermes", "mistral", "llama3", or none."""
    marks = (("hermes", "<tool_call>"), ("mistral", "[TOOL_CALLS]"), ("llama3", "<|python_tag|>"))
    found = next((name for name, mark in marks if mark in source), "")
    return found or ("llama3" if '"parameters"' in source and "tools" in source else "")


class ChatTemplate:
    """One model's template. Compiled when first used: prompts of plain text never need it."""

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        self.source = source
        self._special_tokens = dict(special_tokens)
        self._template: jinja2.Template | None = None

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool,
        tools: Any = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> str:
        """The messages as the model was trained to read them.

        tools: definitions of tools, or None. arguments: what else the template may read, by name.

        Raises:
            ParamError: the template refuses these messages (roles out of order, ...).
            ModelError: the template is wrong, does what it may not, or writes without end.
        """
        limit = _SPARE_CHARS + 2 * sum(len(message["content"]) for message in messages)
        values = {**(arguments or {}), "messages": list(messages), "tools": tools, "documents": None}
        values["add_generation_prompt"] = add_generation_prompt
        try:
            if self._template is None:
                self._template = _environment().from_string(self.source)
            return _bounded(self._template.generate(**{**values, **self._special_tokens}), limit)
        except TemplateSyntaxError as error:
            raise ModelError(f"chat template, line {error.lineno}: {error.message}") from None
        except SecurityError as error:
            raise ModelError(f"chat template: it may not do this: {error}") from None
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise ParamError(f"the model's chat template refuses these messages: {error}") from None
        except (ArithmeticError, RecursionError, MemoryError) as error:
            raise ModelError(f"chat template: {type(error).__name__} while rendering: {error}") from None


def _bounded(chunks: Any, limit: int) -> str:
    pieces, total = [], 0
    for chunk in chunks:
        pieces.append(chunk)
        total += len(chunk)
        if total > limit:
            raise ModelError(f"chat template: it wrote more than {limit} characters; it does not seem to end")
    return "".join(pieces)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox bounds `range`, but not what an operator can blow up."""

    intercepted_binops = frozenset(["*", "**", "%"])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if not _is_bounded(operator, left, right):
            raise SecurityError(f"{type(left).__name__} {operator} {type(right).__name__} could grow without bound")
        return super().call_binop(context, operator, left, right)


def _is_bounded(operator: str, left: Any, right: Any) -> bool:
    if operator == "%":
        return not isinstance(left, str) or _WIDE_FORMAT.search(left) is None
    if operator == "**":
        return isinstance(right, int | float) and right <= 64
    repeats = [side for side in (left, right) if isinstance(side, int)]
    repeated = [side for side in (left, right) if isinstance(side, str | list | tuple)]
    return not repeated or len(repeated[0]) * max(repeats, default=0) <= _SPARE_CHARS


class _Generation(Extension):
    """`{% generation %}` marks what an assistant wrote, for training; here it only lets its content through."""

    tags = {"generation"}  # noqa: RUF012 (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    sandbox = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    sandbox.filters["tojson"] = _to_json
    sandbox.globals["raise_exception"] = _raise
    sandbox.globals["strftime_now"] = _strftime_now
    return sandbox


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Unlike Jinja's own, no HTML escapes; the signature is the one that templates are written for."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)
