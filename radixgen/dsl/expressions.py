"""What a program adds to its state: text, gen, select, roles, and their concatenations.

Expressions are inert values: checked when built (so a wrong option is an error on the line that wrote it), run by the
state that they are added to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar, overload

from radixgen.dsl.choices import METHODS
from radixgen.engine.options import Asked, read_options
from radixgen.errors import ConstraintError, ParamError, ProgramError
from radixgen.params import Choices, Document, JsonSchema

T = TypeVar("T")

_NUMBERS = {int: r"-?(0|[1-9][0-9]{0,15})", float: r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,10})?"}


class Expression:
    """Something that can be added to a state. `a + b` says one after the other; texts count as expressions."""

    def __add__(self, other: Expression | str) -> Expression:
        return Sequence((*parts_of(self), *parts_of(other)))

    def __radd__(self, other: str) -> Expression:
        return Sequence((*parts_of(other), *parts_of(self)))


@dataclass(frozen=True, eq=False)
class Say(Expression):
    """A text as it is."""

    text: str


@dataclass(frozen=True, eq=False)
class Quote(Expression):
    """A document: text that verbatim strings of later gens may quote."""

    document: Document


@dataclass(frozen=True, eq=False)
class RoleBegin(Expression):
    role: str


@dataclass(frozen=True, eq=False)
class RoleEnd(Expression):
    role: str


@dataclass(frozen=True, eq=False)
class Sequence(Expression):
    parts: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class Gen(Expression, Generic[T]):
    """One generation. See `gen`."""

    name: str | None
    asked: Asked
    options: dict[str, Any]
    """As they were given, for a state's defaults to be added to."""
    parse: Callable[[str], Any] | None = None
    """Text to value, instead of the constraint's own."""
    quoted: tuple[str, ...] = ()

    @property
    def is_constrained(self) -> bool:
        return self.asked.constraint is not None


@dataclass(frozen=True, eq=False)
class Select(Expression):
    """One choice by the model's own probabilities. See `select`."""

    name: str | None
    choices: tuple[str, ...]
    method: str
    temperature: float = 1.0
    seed: int | None = None


def parts_of(value: object) -> tuple[Expression, ...]:
    """The expressions that a value added to a state stands for.

    Raises:
        ProgramError: for a value that is no expression.
    """
    if isinstance(value, str):
        return (Say(value),)
    if isinstance(value, Sequence):
        return value.parts
    if isinstance(value, Expression):
        return (value,)
    if isinstance(value, Document):
        return (Quote(value),)
    raise ProgramError(f"a {type(value).__name__} cannot be added to a state; add str(...), gen(...), select(...) ...")


@overload
def gen(name: str | None = None, *, schema: type[T], **options: Any) -> Gen[T]: ...
@overload
def gen(name: str | None = None, *, dtype: type[T], **options: Any) -> Gen[T]: ...
@overload
def gen(name: str | None = None, max_tokens: int | None = None, **options: Any) -> Gen[str]: ...
def gen(name: str | None = None, max_tokens: int | None = None, **options: Any) -> Any:
    """Let the model write; the answer is `s[name]`.

    Options are those of `Engine.generate` (max_tokens, stop, temperature, top_p, top_k, min_p, seed, n, schema, regex,
    grammar, constraint, ...), and:
      dtype: int, float, bool, str, or any type with a JSON Schema; the value is one of that type.
      choices: one of these strings, as `select` with `choices_method` finds it (of the other options, seed and
        temperature matter to "sample").
      verbatim_in: a text that was said before (or several): the answer's strings quote it. Needs schema.
    With n > 1 the value is a list, and the program goes on from its first.

    Raises:
        TypeError: an option that does not exist. ParamError: a value that cannot be.
        ConstraintError: a type without a JSON Schema.
    """
    if max_tokens is not None:
        options["max_tokens"] = max_tokens
    if options.get("choices") is not None:
        return _gen_choice(name, options)
    parse = _read_dtype(options)
    quoted = _read_quoted(options)
    return Gen(_name(name), read_options(options), options, parse, quoted)


def select(
    name: str | None = None,
    choices: Iterable[str] = (),
    method: str = "token_length_normalized",
    *,
    temperature: float = 1.0,
    seed: int | None = None,
) -> Select:
    """Take the choice that the model finds likeliest after what was said; all are scored in one step.

    method: "token_length_normalized", "greedy_token_selection", "unconditional_likelihood_normalized", or "sample"
    (draws in proportion to the choices' probabilities at `temperature`, by `seed` or else the run's). See
    `radixgen.dsl.choices`.

    Raises:
        ParamError: no choices, one listed twice, an empty one, an unknown method.
    """
    if isinstance(choices, str):
        raise ParamError(f"choices: {choices!r} is one text; give a list of strings")
    texts = _texts("choices", choices)
    if any(not text for text in Choices(texts).choices):
        raise ParamError("choices: an empty string cannot be scored; give each choice a text")
    if not isinstance(method, str) or method not in METHODS:
        raise ParamError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    if not isinstance(seed, int | None):
        raise ParamError(f"seed is {seed!r}; it must be an int or None")
    if not isinstance(temperature, int | float) or not temperature > 0:
        raise ParamError(f"temperature is {temperature!r}; it must be above 0 (the other methods take the likeliest)")
    return Select(_name(name), texts, method, temperature, seed)


def document(text: str) -> Quote:
    """A text that later gens with `verbatim=True` quote; it may be cut to fit the context."""
    return Quote(Document(text))


def image(*_: Any, **__: Any) -> Any:
    """Raises `ProgramError`: there are no models of images here."""
    raise ProgramError("image: radixgen runs text models only; describe the image in text")


def system(expression: Expression | str | None = None) -> Expression:
    """The system's message; without an argument, its beginning (as `system_begin`)."""
    return _role("system", expression)


def user(expression: Expression | str | None = None) -> Expression:
    """The user's message; without an argument, its beginning."""
    return _role("user", expression)


def assistant(expression: Expression | str | None = None) -> Expression:
    """The assistant's message; without an argument, its beginning."""
    return _role("assistant", expression)


def system_begin() -> Expression:
    return RoleBegin("system")


def system_end() -> Expression:
    return RoleEnd("system")


def user_begin() -> Expression:
    return RoleBegin("user")


def user_end() -> Expression:
    return RoleEnd("user")


def assistant_begin() -> Expression:
    return RoleBegin("assistant")


def assistant_end() -> Expression:
    return RoleEnd("assistant")


def _role(role: str, expression: Expression | str | None) -> Expression:
    if expression is None:
        return RoleBegin(role)
    return Sequence((RoleBegin(role), *parts_of(expression), RoleEnd(role)))


def _name(name: object) -> str | None:
    if name is None or (isinstance(name, str) and name):
        return name
    raise ParamError(f"name is {name!r}; it must be a text that is not empty, or left out")


def _texts(where: str, given: Any) -> tuple[str, ...]:
    texts = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(isinstance(text, str) for text in texts):
        raise ParamError(f"{where}: give a list of strings")
    return texts


def _gen_choice(name: str | None, options: dict[str, Any]) -> Select:
    choices, method = options.pop("choices"), options.pop("choices_method", "token_length_normalized")
    read_options({one: value for one, value in options.items() if one not in ("dtype", "verbatim_in")})
    wrong = [
        one
        for one in ("schema", "regex", "grammar", "constraint", "dtype", "verbatim_in", "n", "stop")
        if options.get(one)
    ]
    if wrong:
        raise ParamError(f"choices and {wrong[0]}: an answer can follow one constraint; give one of them")
    how = {"temperature": options["temperature"]} if method == "sample" and "temperature" in options else {}
    return select(name, choices, method, seed=options.get("seed"), **how)


def _read_dtype(options: dict[str, Any]) -> Callable[[str], Any] | None:
    """Take `dtype` out of the options and put the constraint in that it stands for."""
    dtype = options.pop("dtype", None)
    if dtype is None or dtype is str:
        return None
    taken = [one for one in ("schema", "regex", "grammar", "constraint") if options.get(one) is not None]
    if taken:
        raise ParamError(f"dtype and {taken[0]}: an answer can follow one constraint; give one of them")
    if dtype is bool:
        options["constraint"] = Choices(("true", "false"))
        return "true".__eq__
    if dtype in _NUMBERS:
        options["regex"] = _NUMBERS[dtype]
        return partial(_number, dtype)
    options["schema"] = dtype
    return None


def _number(dtype: Callable[[str], Any], text: str) -> Any:
    if not re.fullmatch(_NUMBERS[dtype], text):  # type: ignore[index]
        raise ConstraintError(f"{text!r} is no number: max_tokens was too small for one")
    return dtype(text)


def _read_quoted(options: dict[str, Any]) -> tuple[str, ...]:
    given = options.pop("verbatim_in", None)
    if given is None:
        return ()
    quoted = _texts("verbatim_in", given)
    schema = options.get("schema")
    if schema is None or not all(quoted):
        raise ParamError("verbatim_in: it needs a schema whose strings quote, and texts that are not empty")
    if not (isinstance(schema, JsonSchema) and schema.verbatim):
        options.setdefault("verbatim", True)
    return quoted
