"""Tree of thought: propose several next steps, let the model rate them, go on from the best ones.

radixgen run examples/programs/tree_of_thought.py --arg problem="Plan a day in Lisbon."
"""

from radixgen import ProgramState, function, gen, select

RATINGS = ("1", "2", "3", "4", "5")


def think(state: ProgramState, depth: int, width: int) -> list[tuple[float, str]]:
    """(rating, text) of every leaf below a state."""
    if depth == 0:
        return [(0.0, state.text())]

    def step(child: ProgramState, index: int) -> list[tuple[float, str]]:
        name = f"{depth}"
        child += f"Step: {index + 1}. "
        child += gen(f"step{name}", max_tokens=20, temperature=0.9, seed=index, stop="\n") + "\nRating (1 to 5): "
        child += select(f"rating{name}", RATINGS, "sample", seed=index) + "\n"
        rating = float(child[f"rating{name}"])
        return [(rating + below, text) for below, text in think(child, depth - 1, width)]

    return [leaf for leaves in state.fork(width).each(step) for leaf in leaves]


@function
def program(s: ProgramState, problem: str, depth: int = 2, width: int = 3) -> str:
    """The best of width ** depth plans."""
    s += f"Problem: {problem}\nThink in steps; each is rated.\n"
    leaves = think(s, int(depth), int(width))
    return max(leaves)[1]
