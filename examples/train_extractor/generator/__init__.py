"""Synthetic documents with right answers. Breadth comes from composition: facts x wordings x layouts x what is asked.

    facts/*.txt    the library: what a document can state (due_date, tracking_number, tenant ...) with its field names,
                   descriptions, labels and sentences; words/foreign.txt says some of it in five languages
    kinds/*.txt    which facts go together (98 kinds), where they may stand without a label, sentences that join them
    words/*.txt    phrases, stock sentences, roles of pairs

    scribe.py      a random generator with habits: one currency, one form of dates a document
    values.py      spec -> a value: how the document shows it, what the answer says (numbers, dates, compound beside it)
    library.py     reads facts and kinds; the splits that keep names and wordings from training
    state.py       a fact -> a sentence or a labelled line          fill.py   what stands there beside the point
    layouts.py     forms, columns, paragraphs, chats                documents.py   facts -> a whole document
    ask.py         which fields are asked, by which names           pairs.py   two sides with the same attributes
    generic.py     invented keys: finding without meaning           noise.py   what scanners do
    stream.py      the mix, chunk by chunk, and the held-out sets   check.py   the generator's own proof

Invariant: every gold value stands in its document as `check.py` reads it (white space normalised, numbers and ISO
dates by their text there), and no fact of a document shares a name with the field that asks for another.
What is held out: the last name, label and sentence of each fact, the last wording of each group, kinds/heldout.txt.
"""
