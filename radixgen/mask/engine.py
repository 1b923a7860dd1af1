"""The front door: constraints in, grammars and matchers out. One per worker, because one per vocabulary.

Grammars that need no document are kept and shared (by the constraint as written); what is bound to a document is the
request's own. Owned by one thread.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any, Literal

from radixgen.automata.machine import ByteMachine
from radixgen.automata.work import Account, Limits, Work
from radixgen.errors import GrammarError
from radixgen.grammar import mark_bytes
from radixgen.mask.base import Pieces
from radixgen.mask.forced import EncodeForced
from radixgen.mask.free import FreeMatcher
from radixgen.mask.index import build_index
from radixgen.mask.jit import Kernels
from radixgen.mask.machines import Machines
from radixgen.mask.matcher import Matcher
from radixgen.mask.memo import Ledger
from radixgen.mask.pool import MaskPool
from radixgen.mask.states import Grammar
from radixgen.mask.thinking import ThinkingBudget
from radixgen.mask.walk import Walker
from radixgen.mask.warm import SCHEMA, warm_up
from radixgen.params import Constraint, JsonSchema, Thinking

MOST_GRAMMARS = 128
"""A grammar that was used keeps some half a megabyte of states beside its masks; making it again takes milliseconds."""


class MaskEngine:
    """Compiles constraints and makes matchers for one vocabulary."""

    def __init__(
        self,
        vocabulary: Any,
        *,
        encode_forced: EncodeForced,
        max_bytes: int,
        default_white_space: Literal["compact", "spaced", "free"] = "compact",
        limits: Limits | None = None,
        kernels: Kernels | None = None,
    ) -> None:
        """vocabulary: a `tokens.Vocabulary`. encode_forced: `Tokenizer.encode_forced`. max_bytes: of all memos, and
        a third as much, as far as is counted, of tables that no grammar in use holds. limits: of one constraint.
        kernels: for tests; by default numba's where it is installed."""
        self.work = Work()
        self._limits = limits or Limits()
        self._max_table_bytes = max_bytes // 3
        self.index = build_index(vocabulary)
        names, ends = vocabulary.special_names, vocabulary.eos_ids
        self._special_names = frozenset(name for i, name in names.items() if i not in ends)
        self._ledger = Ledger(max_bytes)
        self._pieces = Pieces(Walker(self.index, kernels), self._ledger, MaskPool(self.index.num_words, max_bytes))
        self._encode = encode_forced
        self._machines = Machines(self.work, self._limits, default_white_space=default_white_space)
        self._grammars: OrderedDict[Constraint, Grammar] = OrderedDict()
        self.num_compiled = 0
        """Constraints that were asked for and stand; of these `num_found` were kept from before."""
        self.num_found = 0
        self.compile_s = 0.0
        """Of computing, for these and those that were refused."""
        warm_up(self._grammar(SCHEMA, self._machines.compile(SCHEMA), Account(Limits())))

    @property
    def num_words(self) -> int:
        """W: mask words of this vocabulary. The model's mask rows may be wider."""
        return self.index.num_words

    @property
    def num_bytes(self) -> int:
        """What all memos hold now, roughly."""
        self._pieces.forget_gone()
        return self._ledger.num_bytes

    @property
    def num_table_bytes(self) -> int:
        """What tables have taken since they were last forgotten."""
        return self.work.num_bytes

    @property
    def num_unknown(self) -> int:
        """States of the grammars kept for which no end was found within the effort allowed."""
        return sum(int(getattr(one.machine, "num_unknown", 0)) for one in self._grammars.values())

    def compile(self, constraint: Constraint, document: str | None = None, prefix_bytes: bytes = b"") -> Grammar:
        """The grammar of a constraint; `document` is what verbatim values quote.

        prefix_bytes: what the answer's ids write before the constraint's own text begins, in the middle of an id maybe.

        Raises:
            ConstraintError: (SchemaError, RegexError, GrammarError) when it is wrong, unsupported or empty.
            LimitError: for one that is too large or takes too long; names the limit.
        """
        start = time.thread_time()
        try:
            grammar = self._compile(constraint, document)
        finally:
            self.compile_s += time.thread_time() - start
        self.num_compiled += 1
        return grammar.with_prefix(prefix_bytes) if prefix_bytes else grammar

    def free_matcher(self, prefix_bytes: bytes, *, ignore_eos: bool = False) -> FreeMatcher:
        """A matcher for text without a constraint that begins in the middle of an id."""
        return FreeMatcher(self.index, prefix_bytes, ignore_eos=ignore_eos)

    def _compile(self, constraint: Constraint, document: str | None) -> Grammar:
        if self.work.num_bytes > self._max_table_bytes:
            self._forget_tables()
        known = self._grammars.get(constraint)
        if known is not None and known.account is not None and known.account.is_worn:
            known = None
            del self._grammars[constraint]
            self._machines.forget_one(constraint)
        if known is not None and not isinstance(constraint, JsonSchema):  # whose compiler keeps its machines itself
            return self._kept(constraint, known.machine, known.account)
        account = Account(self._limits)
        with self.work.charged(account):
            machine = self._machines.compile(constraint, document)
        self._check_names(getattr(machine, "special_names", frozenset()))
        if getattr(machine, "quotes_document", False):
            return self._grammar(constraint, machine, account)
        return self._kept(constraint, machine, account)

    def matcher(self, grammar: Grammar, *, max_tokens: int, forced_tokens: bool = True) -> Matcher:
        """A matcher at the start of an answer.

        Raises:
            BudgetTooSmall: when max_tokens is below every answer; `sure` is a limit that certainly works.
            ConstraintError: when the vocabulary cannot write the answer.
        """
        with self.work.limited(self._limits.compile_s, "compile_s"), self.work.charged(grammar.account):
            return Matcher(grammar, max_tokens=max_tokens, encode_forced=self._encode if forced_tokens else None)

    def _forget_tables(self) -> None:
        """Leave tables to the requests that hold them. They are shared, so none could be told from the others; but what
        masks of all strings and numbers stand on is kept."""
        self._grammars.clear()
        self.work.num_bytes = self._machines.forget(self._max_table_bytes // 2)

    def _kept(self, constraint: Constraint, machine: ByteMachine, account: Account | None) -> Grammar:
        """The one grammar of a machine that serves every request."""
        grammar = self._grammars.get(constraint)
        if grammar is None or grammar.machine is not machine:
            grammar = self._grammars[constraint] = self._grammar(constraint, machine, account)
            while len(self._grammars) > MOST_GRAMMARS:
                self._grammars.popitem(last=False)
        else:
            self.num_found += 1
        self._grammars.move_to_end(constraint)
        self._ledger.touch(grammar.memo)
        self._ledger.touch(grammar.records)
        return grammar

    def _grammar(self, constraint: Constraint, machine: ByteMachine, account: Account | None) -> Grammar:
        is_json = isinstance(constraint, JsonSchema)
        grammar = Grammar(machine, self._pieces, self._ledger, is_json=is_json, account=account)
        if isinstance(constraint, Thinking) and constraint.max_tokens is not None:
            return grammar.with_thinking(ThinkingBudget(mark_bytes(constraint.end), constraint.max_tokens))
        return grammar

    def _check_names(self, names: frozenset[str]) -> None:
        """Raises `GrammarError` for a special token that the vocabulary lacks."""
        missing = sorted(names - self._special_names)
        if missing:
            known = ", ".join(sorted(self._special_names)[:10]) or "none"
            raise GrammarError(
                f"the vocabulary has no special token {missing[0]!r} that a grammar can name; there are {known}"
            )
