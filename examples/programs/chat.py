"""A chat of several turns: each one finds all that was said before in the cache.

radixgen run examples/programs/chat.py --arg turns="Hello!|What can you do?|Thanks, bye."
"""

from radixgen import ProgramState, assistant, function, gen, system, user


@function
def program(s: ProgramState, turns: str | list[str], max_tokens: int = 24) -> list[str]:
    """The answers, in order; `turns` as a list, or as text with | between them."""
    s += system("You are a helpful assistant and answer in one sentence.")
    answers = []
    for number, turn in enumerate(turns.split("|") if isinstance(turns, str) else turns):
        s += user(turn)
        s += assistant(gen(f"answer{number}", max_tokens=int(max_tokens), stop="\n"))
        answers.append(s[f"answer{number}"])
    return answers
