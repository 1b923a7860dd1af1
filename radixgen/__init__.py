"""radixgen: structured generation that always fits, from pip on a bare CPU.

Public names are loaded when they are first used, so that importing the package costs nothing and a client that only
talks to a worker never loads a model's libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radixgen.config import WorkerConfig
    from radixgen.dsl import (
        OpenAIBackend,
        Program,
        ProgramState,
        assistant,
        document,
        function,
        gen,
        image,
        select,
        set_default_backend,
        system,
        user,
    )
    from radixgen.engine import AsyncStream, Completion, Engine, Output, Pending, ScoredRow, Stream, StreamDelta, Usage
    from radixgen.errors import (
        BudgetTooSmall,
        ConfigError,
        ConstraintError,
        GrammarError,
        InputError,
        LimitError,
        ModelError,
        ParamError,
        ProgramError,
        PromptTooLong,
        ProtocolError,
        RadixgenError,
        RegexError,
        RequestAborted,
        RequestError,
        RequestFailed,
        SchemaError,
        WorkerDied,
        WorkerError,
    )
    from radixgen.params import (
        Choices,
        Document,
        GrammarText,
        Ids,
        JsonSchema,
        Message,
        Namespace,
        ReadyMade,
        Regex,
        SamplingParams,
        StructuralTags,
        Tag,
        Text,
        Thinking,
    )

__version__ = "0.1.0"

__all__ = [
    "AsyncStream",
    "BudgetTooSmall",
    "Choices",
    "Completion",
    "ConfigError",
    "ConstraintError",
    "Document",
    "Engine",
    "GrammarError",
    "GrammarText",
    "Ids",
    "InputError",
    "JsonSchema",
    "LimitError",
    "Message",
    "ModelError",
    "Namespace",
    "OpenAIBackend",
    "Output",
    "ParamError",
    "Pending",
    "Program",
    "ProgramError",
    "ProgramState",
    "PromptTooLong",
    "ProtocolError",
    "RadixgenError",
    "ReadyMade",
    "Regex",
    "RegexError",
    "RequestAborted",
    "RequestError",
    "RequestFailed",
    "SamplingParams",
    "SchemaError",
    "ScoredRow",
    "Stream",
    "StreamDelta",
    "StructuralTags",
    "Tag",
    "Text",
    "Thinking",
    "Usage",
    "WorkerConfig",
    "WorkerDied",
    "WorkerError",
    "__version__",
    "assistant",
    "document",
    "function",
    "gen",
    "image",
    "select",
    "set_default_backend",
    "system",
    "user",
]

_DSL = (
    "OpenAIBackend",
    "Program",
    "ProgramState",
    "assistant",
    "document",
    "function",
    "gen",
    "image",
    "select",
    "set_default_backend",
    "system",
    "user",
)
_ENGINE = ("AsyncStream", "Completion", "Engine", "Output", "Pending", "ScoredRow", "Stream", "StreamDelta", "Usage")
_PARAMS = (
    "Choices",
    "Document",
    "GrammarText",
    "Ids",
    "JsonSchema",
    "Message",
    "Namespace",
    "ReadyMade",
    "Regex",
    "SamplingParams",
    "StructuralTags",
    "Tag",
    "Text",
    "Thinking",
)


def _home(name: str) -> str:
    if name in _DSL:
        return "radixgen.dsl"
    if name in _ENGINE:
        return "radixgen.engine"
    if name in _PARAMS:
        return "radixgen.params"
    return "radixgen.config" if name == "WorkerConfig" else "radixgen.errors"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'radixgen' has no attribute {name!r}")
    value = getattr(import_module(_home(name)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
