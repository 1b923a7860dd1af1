"""Synthetic documents with right answers.

    kinds/*.txt   what a kind of document can say: slots (type, field names) and sentence groups (wordings)
    values.py     type spec -> a value: how the document shows it, what the answer says
    pools.py      names, companies, addresses, words (faker in ten locales, invented syllables)
    layouts.py    sentences and labelled values -> a document (letter, form, receipt, e-mail, chat, ...)
    kinds.py      reads kinds/ and makes examples of them
    generic.py    random keys and typed picks: copying without meaning
    stream.py     the mix, long documents, and the held-out sets

Invariant: every gold string stands verbatim in its document once white space is normalised (`check.py`).
What is held out: the last wording of each group, the last field name of each slot, the kinds in kinds/heldout.txt.
"""
