"""Answers from retrieved passages, each with a citation that is a verbatim quote of one of them.

radixgen run examples/programs/citations.py --arg question="When was the bridge opened?"
"""

from radixgen import ProgramState, function, gen

PASSAGES = (
    "The Iron Bridge over the Severn was opened on 1 January 1781 and is the first bridge of cast iron.",
    "Abraham Darby III cast its ribs at Coalbrookdale; 378 tons of iron were used.",
    "Since 1934 it is closed to vehicles. Tolls for pedestrians were collected until 1950.",
)
SCHEMA = {
    "type": "object",
    "properties": {"quote": {"type": "string", "x-verbatim": True}, "answer": {"type": "string", "maxLength": 60}},
    "required": ["quote", "answer"],
}


def retrieve(question: str, count: int = 2) -> list[str]:
    """The passages that share most words with the question: plain Python, where a search engine would be."""
    words = set(question.lower().split())
    return sorted(PASSAGES, key=lambda passage: -len(words & set(passage.lower().split())))[:count]


@function
def program(s: ProgramState, question: str) -> dict[str, str]:
    """The answer, and the words of a passage that it rests on."""
    passages = retrieve(question)
    s += "Answer from these passages and quote the words that say so.\n"
    for passage in passages:
        s += passage + "\n"
    s += f"Question: {question}\n"
    s += gen("found", schema=SCHEMA, verbatim_in=passages, max_tokens=96)
    return s["found"]
