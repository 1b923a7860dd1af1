"""A judge of several criteria: one fork each, all reading the same essay, and a verdict over all of them.

radixgen run examples/programs/judge.py --arg essay="Cats are liquid. I have a cat. It fits in a vase."
"""

from radixgen import ProgramState, assistant, function, gen, system, user

CRITERIA = {
    "clarity": "Is every sentence easy to follow?",
    "evidence": "Is what it claims supported?",
    "originality": "Does it say something new?",
}


@function
def program(s: ProgramState, essay: str) -> dict[str, int]:
    """A score from 1 to 10 for each criterion, and a verdict in one sentence."""
    s += system("You judge short essays, fairly and briefly.")
    s += user("Essay:\n" + essay)
    forks = s.fork(len(CRITERIA))
    for fork, (name, question) in zip(forks, CRITERIA.items(), strict=True):
        fork += user(f"{name}: {question} Give a reason, then a score from 1 to 10.")
        fork += assistant(
            "Reason: " + gen("reason", max_tokens=32, stop="\n") + "\nScore: " + gen("score", regex="10|[1-9]")
        )
    forks.join()
    scores = dict(zip(CRITERIA, map(int, s["score"]), strict=True))
    s += user(f"The scores are {scores}. Sum up in one sentence.")
    s += assistant(gen("verdict", max_tokens=40, stop="\n"))
    return scores
