"""Few-shot classification: one long prompt of examples that all questions share, and an answer of fixed labels.

radixgen run examples/programs/few_shot.py --arg text="The screen cracked after two days."
"""

from radixgen import ProgramState, function, gen

LABELS = ("praise", "complaint", "question")
SHOTS = (
    ("The battery lasts all week, wonderful!", "praise"),
    ("It arrived broken and nobody answers my mails.", "complaint"),
    ("Does it come with a charger?", "question"),
    ("Best coffee in town, and so friendly.", "praise"),
    ("I was charged twice for one ticket.", "complaint"),
    ("When does the museum open on Sundays?", "question"),
)


@function
def program(s: ProgramState, text: str) -> str:
    """The label of one text."""
    s += "Say whether each message is praise, a complaint or a question.\n\n"
    for shot, label in SHOTS:
        s += f"Message: {shot}\nLabel: {label}\n\n"
    s += f"Message: {text}\nLabel: " + gen("label", regex="|".join(LABELS), max_tokens=16)
    return s["label"]
