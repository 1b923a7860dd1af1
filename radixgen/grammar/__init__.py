"""Grammars: later, text (Lark, EBNF, GBNF) to rules; now, the files of `grammars/` found by name.

May import: automata, errors. May not: schema, tokens, mask, torch.
"""

from radixgen.grammar.files import find_grammar

__all__ = ["find_grammar"]
