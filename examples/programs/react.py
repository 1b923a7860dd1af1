"""A ReAct agent: it thinks, calls a tool with valid arguments, reads what the tool says, and answers in the end.

radixgen run examples/programs/react.py --arg question="How much are three pears and a melon?"
"""

from typing import Literal

from pydantic import BaseModel, Field

from radixgen import ProgramState, function, gen

PRICES = {"pear": 0.4, "melon": 2.5, "fig": 0.9}
MOST_TURNS = 3


class Look(BaseModel):
    """Look up the price of a fruit."""

    tool: Literal["price"]
    fruit: Literal["pear", "melon", "fig"]


class Answer(BaseModel):
    """Say the answer and stop."""

    tool: Literal["answer"]
    text: str = Field(max_length=80)


def price(fruit: str) -> str:
    """The tool: plain Python."""
    return f"a {fruit} is {PRICES[fruit]:.2f} euros"


@function
def program(s: ProgramState, question: str) -> str:
    """Ask prices until there is an answer, at most MOST_TURNS times."""
    s += 'Tools: {"tool": "price", "fruit": ...} and {"tool": "answer", "text": ...}.\n'
    s += f"Question: {question}\n"
    for turn in range(MOST_TURNS):
        s += "Thought: " + gen(f"thought{turn}", max_tokens=24, stop="\n") + "\n"
        is_last = turn == MOST_TURNS - 1
        s += "Action: " + gen(f"action{turn}", schema=Answer if is_last else Look | Answer, max_tokens=64) + "\n"
        action = s[f"action{turn}"]
        if isinstance(action, Answer):
            return action.text
        s += f"Observation: {s.call(price, action.fruit)}\n"
    raise AssertionError("the last turn can only answer")
