"""Regular expressions, word lists, numbers and quotes of a text as lazy automata over bytes. No tokenizer in sight.

    pattern ──regex_parse──► tree ──regex_anchors──► node ──regex_derive──► chars: shapes over code points
    format ───formats──────────────────────────────►  │                         │ lift: UTF-8, or a JSON string
                                      and, or, not ◄──┘ regex                    ▼
    words, literals, counted strings, strings less some words, quotes ───►  table.Automaton: rows int32[256]
    numberset: bounds, multiples, values ──numerals, exponents──────────►        │ single, schema, grammar
                                                                            machine.ByteMachine

Invariant: a row leads nowhere from which the text cannot end. Effort and states are counted in `work`. May import:
errors. May not: schema, tokens, mask, torch.
"""
