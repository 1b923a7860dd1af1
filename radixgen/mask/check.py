"""What becomes of a constraint, and of texts by it: known without a vocabulary, so before any model is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal, NamedTuple

import msgspec

from radixgen.automata.machine import ByteMachine
from radixgen.automata.work import Limits, Work
from radixgen.errors import ConstraintError, GrammarError, RegexError, SchemaError
from radixgen.grammar import read_rules
from radixgen.mask.explain import Explanation, explain
from radixgen.mask.jsonspans import pointer_at_end
from radixgen.mask.limits import check_text
from radixgen.mask.machines import Machines
from radixgen.params import Constraint, GrammarText, JsonSchema, ReadyMade
from radixgen.schema.survey import survey

Outcome = Literal["accepted", "narrowed", "rejected", "unfinished", "limit"]


class Finding(NamedTuple):
    """What becomes of one part of a constraint."""

    kind: Literal["enforced", "annotation", "refused", "narrowed"]
    where: str
    """JSON pointer of a schema's keyword, or line and column."""
    what: str
    """The keyword or rule."""
    note: str = ""


class Verdict(NamedTuple):
    """What becomes of one text. "narrowed": it fits, and is never generated, by an option. "limit": see `note`."""

    outcome: Outcome
    place: int
    """Bytes that the constraint takes, as it generates."""
    pointer: str
    """Of the JSON value that was being written there."""
    expected: tuple[str, ...]
    """What could have stood there, in words."""
    note: str
    """All of it in one line."""

    @property
    def fits(self) -> bool:
        return self.outcome in ("accepted", "narrowed")


class Checker:
    """One constraint under scrutiny."""

    def __init__(self, constraint: Constraint, limits: Limits) -> None:
        self._constraint = constraint
        self._limits = limits
        self._work = Work()
        self._machines = Machines(self._work, limits)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """All that there is to say, in the order of the text; what compiling refuses comes last."""
        found: list[Finding] = []
        try:
            check_text(self._constraint, self._limits)
            found += self._listed()
            if all(one.kind != "refused" for one in found):
                self._machines.compile(self._constraint)
        except ConstraintError as error:
            found.append(_refusal(error))
        return tuple(found)

    @property
    def is_schema(self) -> bool:
        return isinstance(self._constraint, JsonSchema)

    @property
    def is_refused(self) -> bool:
        return any(one.kind == "refused" for one in self.findings)

    def judge(self, text: str) -> Verdict:
        """What becomes of a text. Raises `ConstraintError` for a constraint that is refused."""
        data = text.encode(errors="surrogatepass")
        machine = self._machines.compile(self._constraint)
        try:
            found = self._explain(machine, data)
            fits = found.outcome != "accepted" and self._fits_wide(data)
        except ConstraintError as error:
            return Verdict("limit", 0, "", (), str(error))
        note = f"fits, but is not generated: {found.why(data)}" if fits else f"{found.outcome} {found.why(data)}"
        pointer = pointer_at_end(data[: found.place]) if self.is_schema else ""
        return Verdict(
            "narrowed" if fits else found.outcome,
            found.place,
            pointer,
            found.expected,
            f"{note} ({pointer})" if pointer else note,
        )

    def _fits_wide(self, data: bytes) -> bool:
        """Whether a schema takes the text in its widest reading."""
        if not isinstance(self._constraint, JsonSchema):
            return False
        wide = msgspec.structs.replace(
            self._constraint,
            extra_keys="schema", key_order="any", white_space="free", exponents=True, non_ascii="any",
        )  # fmt: skip
        return self._explain(self._machines.compile(wide), data).outcome == "accepted"

    def _explain(self, machine: ByteMachine, data: bytes) -> Explanation:
        with self._work.limited(self._limits.mask_s, "mask_s"):
            return explain(machine, data)

    def _listed(self) -> Iterator[Finding]:
        if isinstance(self._constraint, JsonSchema):
            with self._work.limited(self._limits.compile_s, "compile_s"):
                yield from (Finding(*one) for one in survey(self._constraint, self._machines.schemas))
        elif isinstance(self._constraint, GrammarText | ReadyMade):
            yield from _rules(self._constraint)


def _rules(grammar: GrammarText | ReadyMade) -> list[Finding]:
    rules = read_rules(grammar)
    unused = {rule.name for rule in rules.unused()}
    note = "nothing in reach of the start names it"
    return [
        Finding("annotation", _at(*rule.place), rule.name, note)
        if rule.name in unused
        else Finding("enforced", _at(*rule.place), rule.name)
        for rule in rules.rules.values()
    ]


def _refusal(error: ConstraintError) -> Finding:
    where = what = ""
    if isinstance(error, SchemaError):
        where, what = error.pointer, error.keyword
    elif isinstance(error, GrammarError) and error.line:
        where = _at(error.line, error.column)
    elif isinstance(error, RegexError):
        where = f"character {error.position}"
    return Finding("refused", where, what, str(error).removeprefix(f"{where or '/'}: "))


def _at(line: int, column: int) -> str:
    return f"line {line}, column {column}" if line else ""
