"""Multiple choice: the model scores the options, all of them in one step, and the likeliest is taken.

radixgen run examples/programs/multiple_choice.py --arg question="Which is a fruit?" --arg options="pear|brick|sock"
"""

from radixgen import ProgramState, function, select


@function
def program(s: ProgramState, question: str, options: str | list[str]) -> str:
    """The option that the model finds likeliest; `options` as a list, or as text with | between them."""
    choices = options.split("|") if isinstance(options, str) else options
    s += f"Question: {question}\n"
    for letter, choice in zip("ABCDEFGH", choices, strict=False):
        s += f"{letter}. {choice}\n"
    s += "Answer: " + select("answer", choices) + "\n"
    s += "How sure is that? " + select("sure", ["certain", "likely", "a guess"], "unconditional_likelihood_normalized")
    return s["answer"]
