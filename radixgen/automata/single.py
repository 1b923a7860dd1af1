"""Constraints that are one scalar: a regular expression, or one of some strings."""

from __future__ import annotations

from radixgen.automata import regex_anchors
from radixgen.automata.chars import Derivatives
from radixgen.automata.lift import Utf8Automaton
from radixgen.automata.machine import DEAD, Scalar, State
from radixgen.automata.regex import Regexes
from radixgen.automata.regex_parse import parse
from radixgen.automata.table import Automaton
from radixgen.automata.words import WordsAutomaton
from radixgen.automata.work import Work
from radixgen.errors import ConstraintError, RegexError


class SingleMachine:
    """A `ByteMachine` whose text is one automaton's; a state is the automaton's row number."""

    num_unknown = 0

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton

    def start(self) -> State:
        return 0

    def step(self, state: State, byte: int) -> State | None:
        assert isinstance(state, int)
        after = self._automaton.step(state, byte)
        return None if after == DEAD else after

    def is_accepting(self, state: State) -> bool:
        assert isinstance(state, int)
        return bool(self._automaton.accepting[state])

    def completion(self, state: State) -> bytes:
        assert isinstance(state, int)
        return self._automaton.completion(state)

    def scalars(self, state: State) -> tuple[Scalar, ...]:
        assert isinstance(state, int)
        return (Scalar(self._automaton, state, None),)


def regex_machine(pattern: str, work: Work | None = None) -> SingleMachine:
    """The texts that `pattern` (Python's `re` syntax less back references) matches as a whole.

    `$` is the very end of the text: the newline that Python's `$` also looks past is not.

    Raises:
        RegexError: for what cannot be read or followed, with its position; for a pattern that no text matches.
        LimitError: when it takes too much work or too many nodes, now or in a walk.
    """
    regexes = Regexes(work)
    chars = Derivatives(regexes, regex_anchors.whole(regexes, parse(pattern)))
    if chars.is_empty():
        raise RegexError(f"regular expression: no text matches {pattern!r}")
    return SingleMachine(Utf8Automaton(chars))


def choices_machine(choices: tuple[str, ...]) -> SingleMachine:
    """Exactly one of `choices` (at least one).

    Raises:
        ConstraintError: for a choice that is no text (half of a surrogate pair alone).
    """
    try:
        return SingleMachine(WordsAutomaton(choice.encode() for choice in choices))
    except UnicodeEncodeError as error:
        raise ConstraintError(f"choices: {error.object!r} holds half of a surrogate pair; no UTF-8 text can") from None
