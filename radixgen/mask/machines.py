"""Constraints to byte machines, no vocabulary in sight: where a constraint inside another is resolved."""

from __future__ import annotations

from typing import Literal

from radixgen.automata.machine import ByteMachine
from radixgen.automata.single import choices_machine, regex_machine
from radixgen.automata.work import Limits, Work
from radixgen.errors import ConstraintError
from radixgen.grammar import GrammarCompiler
from radixgen.mask.limits import check_text
from radixgen.params import Choices, Constraint, GrammarText, JsonSchema, ReadyMade, Regex, StructuralTags, Thinking
from radixgen.schema import SchemaCompiler

WhiteSpace = Literal["compact", "spaced", "free"]


class Machines:
    """Makes machines. Those of schemas are kept and shared by their compiler; those of the rest are made anew."""

    def __init__(self, work: Work, limits: Limits, *, default_white_space: WhiteSpace = "compact") -> None:
        """default_white_space: what `white_space="model"` means."""
        self._work = work
        self._limits = limits
        self._white_space = default_white_space
        self.schemas = SchemaCompiler(work, limits=limits)
        self._grammars = GrammarCompiler(work)

    def forget(self, max_bytes: int) -> int:
        """Begin with empty tables, but for those of strings and numbers that many schemas share, while they take no
        more than `max_bytes`; machines that were made go on with theirs. Returns the bytes that are kept."""
        self._grammars = GrammarCompiler(self._work)
        return self.schemas.forget_schemas(max_bytes)

    def forget_one(self, constraint: Constraint) -> None:
        """Begin with an empty machine for a constraint."""
        if isinstance(constraint, JsonSchema):
            self.schemas.forget(constraint)

    def compile(self, constraint: Constraint, document: str | None = None) -> ByteMachine:
        """The machine of a constraint; `document` is what verbatim values quote.

        Raises:
            ConstraintError: (SchemaError, RegexError, GrammarError) when it is wrong, unsupported or empty.
            LimitError: for one that is too large or takes too long; names the limit.
        """
        check_text(constraint, self._limits)
        with self._work.limited(self._limits.compile_s, "compile_s"):
            return self._compile(constraint, document)

    def _compile(self, constraint: Constraint, document: str | None) -> ByteMachine:
        match constraint:
            case JsonSchema():
                return self.schemas.compile(constraint, document=document, default_white_space=self._white_space)
            case Regex():
                return regex_machine(constraint.pattern, self._work)
            case Choices():
                return choices_machine(constraint.choices)
            case GrammarText() | ReadyMade() | StructuralTags() | Thinking():
                return self._grammars.compile(constraint, lambda inner: self._inner(inner, document))
        raise ConstraintError(f"a {type(constraint).__name__} is no constraint; use JsonSchema, Regex or GrammarText")

    def _inner(self, constraint: Constraint, document: str | None) -> ByteMachine:
        """The machine of a constraint inside another."""
        if isinstance(constraint, Thinking) and constraint.max_tokens is not None:
            raise ConstraintError("thinking: max_tokens counts from the answer's start; inside a tag, leave it away")
        return self._compile(constraint, document)
