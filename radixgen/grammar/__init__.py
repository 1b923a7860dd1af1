"""Grammar text to a byte machine: Lark, GBNF and the W3C's EBNF, structural tags, and the files of `grammars/`.

    lark.py gbnf.py ebnf.py tags.py ──► rules.py ──build.py──► forms.py ──measure.py, left.py──► machine.py
    (readers; reader.py is what         (as written)           (interned)  (what has a text;     (sets of configurations
     they share)                                                           no left recursion)    over stacks.py)

A context-free grammar is run as it is, ambiguous or not: a nondeterministic pushdown automaton, all of whose readings
are one state. It knows bytes only; what is embedded (a schema) is resolved by whoever compiles.

May import: automata, params, errors. May not: schema, tokens, mask, torch.
"""

from radixgen.grammar.compiler import GrammarCompiler, read_rules
from radixgen.grammar.files import find_grammar, grammar_names
from radixgen.grammar.machine import GrammarMachine
from radixgen.grammar.parts import special_bytes
from radixgen.grammar.tags import mark_bytes

__all__ = [
    "GrammarCompiler",
    "GrammarMachine",
    "find_grammar",
    "grammar_names",
    "mark_bytes",
    "read_rules",
    "special_bytes",
]
