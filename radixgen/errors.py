"""Every exception that radixgen raises on purpose, drawn.

    RadixgenError
    ├── ConfigError            flags or options that cannot be, or contradict each other
    ├── ModelError             a checkpoint, tokenizer or chat template that cannot be used
    ├── InputError             a job's input or output file
    ├── ProgramError           a mistake in a program of the DSL, at a line of it
    ├── RequestError           one request cannot be done; no other request notices
    │   ├── ParamError         a sampling parameter or prompt out of range
    │   ├── PromptTooLong      prompt (and what must follow it) does not fit context or pool
    │   ├── ConstraintError    a constraint that is wrong, unsupported, empty or too large
    │   │   ├── SchemaError    ... in a JSON Schema; names keyword and JSON pointer
    │   │   ├── RegexError     ... in a regular expression; names the position
    │   │   ├── GrammarError   ... in a grammar; names line and column
    │   │   └── LimitError     ... that takes more time, states or bytes than its limit; names the limit
    │   ├── BudgetTooSmall     max_tokens is below any answer; `sure` is a limit that certainly works
    │   ├── Overloaded         too many requests are open already; try again later
    │   ├── RequestAborted     the caller (or a shutdown) ended it
    │   └── RequestFailed      the worker could not finish it: a bug or a fault, its own
    └── WorkerError
        ├── WorkerDied         the worker process is gone; what it ran is lost
        └── ProtocolError      a message that does not belong here, or of another version

A message says what happened, where, and what to do. `code` is the class's stable name on the wire, see `from_wire`.
"""

from __future__ import annotations


class RadixgenError(Exception):
    """Base of all of them; `except RadixgenError` catches nothing that is a bug of Python's making."""

    def details(self) -> dict[str, str | int]:
        """What the message says, as data; travels with the error."""
        return {}


class ConfigError(RadixgenError):
    """Options of a process that cannot be, or contradict each other."""


class ModelError(RadixgenError):
    """A checkpoint, tokenizer or chat template that cannot be used."""


class InputError(RadixgenError):
    """A job's input or output that cannot be read or written."""


class ProgramError(RadixgenError):
    """A mistake in a program: an unknown variable, a name used twice, roles nested wrongly, forks joined twice."""


class RequestError(RadixgenError):
    """One request cannot be done; no other request notices."""


class ParamError(RequestError):
    """A sampling parameter or a prompt that is out of range or of the wrong kind."""


class PromptTooLong(RequestError):
    """The prompt, with room for an answer, does not fit the context or the pool."""


class ConstraintError(RequestError):
    """A constraint that is wrong, unsupported, empty or too large."""


class SchemaError(ConstraintError):
    """A JSON Schema that cannot be enforced: says which keyword, at which JSON pointer."""

    def __init__(self, message: str, pointer: str = "", keyword: str = "") -> None:
        super().__init__(f"{pointer or '/'}: {message}")
        self.pointer = pointer
        self.keyword = keyword

    def details(self) -> dict[str, str | int]:
        return {"pointer": self.pointer, "keyword": self.keyword}


class RegexError(ConstraintError):
    """A regular expression that cannot be read or followed: says where."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.position = position

    def details(self) -> dict[str, str | int]:
        return {"position": self.position}


class GrammarError(ConstraintError):
    """A grammar (Lark, GBNF, EBNF, structural tags) that cannot be read or followed: says where."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"line {line}, column {column}: {message}" if line else message)
        self.line = line
        self.column = column

    def details(self) -> dict[str, str | int]:
        return {"line": self.line, "column": self.column}


class LimitError(ConstraintError):
    """A constraint needs more time, states or bytes than a limit gives it; `limit` is the option's name."""

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit

    def details(self) -> dict[str, str | int]:
        return {"limit": self.limit}


class BudgetTooSmall(RequestError):
    """`max_tokens` is below any answer that the constraint allows; `sure` is a limit that certainly works."""

    def __init__(self, message: str, sure: int = 0) -> None:
        super().__init__(message)
        self.sure = sure

    def details(self) -> dict[str, str | int]:
        return {"sure": self.sure}


class Overloaded(RequestError):
    """Too many requests are open already; the same request may be sent again, after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def details(self) -> dict[str, str | int]:
        return {"retry_after_s": self.retry_after_s}


class RequestAborted(RequestError):
    """The caller, or a shutdown, ended the request."""


class RequestFailed(RequestError):
    """The worker could not finish this request: a fault of ours, reported, and nobody else's."""


class WorkerError(RadixgenError):
    """Something between the caller and the worker."""


class WorkerDied(WorkerError):
    """The worker process is gone; what it was running is lost."""


class ProtocolError(WorkerError):
    """A message that does not belong here, cannot be read, or speaks another version."""


def _tree(cls: type[RadixgenError]) -> dict[str, type[RadixgenError]]:
    found = {cls.__name__: cls}
    for child in cls.__subclasses__():
        found |= _tree(child)
    return found


def from_wire(code: str, message: str, details: dict[str, str | int]) -> RadixgenError:
    """The exception that `type(error).__name__`, `str(error)` and `error.details()` describe.

    A code that this version does not know becomes `RequestFailed`.
    """
    cls = _tree(RadixgenError).get(code, RequestFailed)
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    for name, value in details.items():
        setattr(error, name, value)
    return error
