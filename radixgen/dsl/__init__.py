"""Programs of several constrained model calls: SGLang's words, typed results, errors that raise, no thread a program.

    @function                        def program(s, question): ...     a plain function, run on a fiber (fibers.py)
        │ s += ...                   expressions.py: text, gen, select, roles, document
        ▼
    ProgramState ── queue of steps ──► one task a state works them off in order          state.py, steps.py
        │   transcript.py: what was said, by whom; generated ids stay ids
        │   forks.py: fork shares the prefix, children run side by side, join gathers
        ▼
    Backend ── EngineBackend: an `Engine`, whichever way it was made                     backend.py
            └─ OpenAIBackend: any OpenAI-compatible server                               openai.py

Invariants: steps of one state run in the order they were added; a step that fails ends its state, and the error is
raised where a value is read, or by `run` where none is; a backend that cannot do what a step asks refuses.
Imports engine and schema; no torch, no threads but where a sync call meets a running event loop.
"""

from radixgen.dsl.backend import Backend, EngineBackend
from radixgen.dsl.batch import BatchResult, RowResult
from radixgen.dsl.expressions import (
    Gen,
    Select,
    assistant,
    assistant_begin,
    assistant_end,
    document,
    gen,
    image,
    select,
    system,
    system_begin,
    system_end,
    user,
    user_begin,
    user_end,
)
from radixgen.dsl.forks import Forks
from radixgen.dsl.openai import OpenAIBackend
from radixgen.dsl.program import Program, function, set_default_backend
from radixgen.dsl.state import ProgramState

__all__ = [
    "Backend",
    "BatchResult",
    "EngineBackend",
    "Forks",
    "Gen",
    "OpenAIBackend",
    "Program",
    "ProgramState",
    "RowResult",
    "Select",
    "assistant",
    "assistant_begin",
    "assistant_end",
    "document",
    "function",
    "gen",
    "image",
    "select",
    "set_default_backend",
    "system",
    "system_begin",
    "system_end",
    "user",
    "user_begin",
    "user_end",
]
