"""Regular expressions, word lists, numbers and quotes of a text as lazy automata over bytes. No tokenizer in sight.

    pattern ──regex_parse──► tree ──regex_anchors──► node ──derivatives──► CharMachine (arcs over code points)
                                                                              │ lift: UTF-8, or a JSON string
    words, numbers, quotes of a document ───────────────────────────────►  TableAutomaton: rows int32[256]
                                                                              │ single, schema
                                                                           ByteMachine

Invariant: a row leads nowhere from which the text cannot end. May import: errors. May not: schema, tokens, mask, torch.
"""
