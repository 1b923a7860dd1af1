"""Scores of records against the right ones: fields, whole records, by type, by kind of error, by confidence.

missed      null instead of a value         border    the right place, some characters too many or too few
invented    a value instead of null         place     something else, of the right type
choice      another member, true for false  list      an array or object with something right in it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from bench.hand_written import Task
from examples.demo_score import is_same
from radixgen.jobs.fields import nullable_names

FORMATS = ("date", "email", "phone", "money", "uri")
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0)


class Answer(NamedTuple):
    """A record, None where there is none, and how sure of each field whoever wrote it is."""

    record: Mapping[str, Any] | None
    confidence: Mapping[str, float]


class Verdict(NamedTuple):
    """One field of one record. error: "" where it is right."""

    kind: str
    error: str
    value: Any
    asked: str
    """The kind that the schema asks for, also where nothing is to be found."""
    confidence: float | None


def verdicts(task: Task, answer: Answer) -> dict[str, Verdict]:
    """Each field's."""
    record = answer.record or {}
    return {
        name: Verdict(
            field_kind(task.schema["properties"][name], expected),
            "failed" if answer.record is None else error_kind(expected, record.get(name)),
            record.get(name),
            field_kind(task.schema["properties"][name], True),
            answer.confidence.get(name),
        )
        for name, expected in task.expected.items()
    }


def field_kind(schema: Mapping[str, Any], value: Any) -> str:
    """null (nothing to find), choice, array, object, a format that has a shape, or the type's own name."""
    if value is None:
        return "null"
    if "enum" in schema:
        return "choice"
    if "anyOf" in schema:
        return field_kind(next(one for one in schema["anyOf"] if one.get("type") != "null"), value)
    if "$ref" in schema:
        return "object"
    types = schema["type"]
    kind = next(one for one in types if one != "null") if isinstance(types, list) else types
    return str(schema["format"]) if schema.get("format") in FORMATS else str(kind)


def error_kind(expected: Any, value: Any) -> str:
    """How a value is wrong; "" if it is right."""
    if is_same(expected, value):
        return ""
    if expected is None or value is None:
        return "invented" if expected is None else "missed"
    if isinstance(expected, list | dict):
        return "list" if _leaves(expected) & _leaves(value) else "place"
    if isinstance(expected, bool):
        return "choice"
    if isinstance(expected, str) and isinstance(value, str) and (_shares(expected, value) or _shares(value, expected)):
        return "border"
    return "place"


def _shares(part: str, whole: str) -> bool:
    return f" {' '.join(part.split())} " in f" {' '.join(whole.split())} " or (len(part) > 2 and part in whole)


def _leaves(value: Any) -> set[str]:
    if isinstance(value, list):
        return {leaf for item in value for leaf in _leaves(item)}
    if isinstance(value, dict):
        return {leaf for item in value.values() for leaf in _leaves(item)}
    return {str(value)}


@dataclass
class Tally:
    """Right and all by kind of field, whole records, and what kinds of errors there are."""

    fields: dict[str, list[int]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    records: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, task: Task, answer: Answer) -> None:
        """Score one record."""
        found = verdicts(task, answer)
        for verdict in found.values():
            for key in ("all", verdict.kind):
                count = self.fields.setdefault(key, [0, 0])
                count[0] += not verdict.error
                count[1] += 1
            self.errors[verdict.error] += 1
        self.records[0] += not any(verdict.error for verdict in found.values())
        self.records[1] += 1

    def share(self, key: str = "all") -> float:
        """Per cent of the fields of a kind that are right."""
        right, count = self.fields.get(key, (0, 0))
        return 100 * right / max(1, count)

    @property
    def record_share(self) -> float:
        return 100 * self.records[0] / max(1, self.records[1])

    def lines(self) -> list[str]:
        """Shares; counts by kind of field; counts by kind of error."""
        kinds = "  ".join(f"{kind} {right}/{count}" for kind, (right, count) in sorted(self.fields.items()))
        errors = "  ".join(f"{error} {count}" for error, count in self.errors.most_common() if error)
        return [f"{self.share():5.1f} % of fields, {self.record_share:5.1f} % of records", kinds, f"errors: {errors}"]


def tally(tasks: Iterable[Task], answers: Iterable[Answer]) -> Tally:
    """Score all."""
    result = Tally()
    for task, answer in zip(tasks, answers, strict=True):
        result.add(task, answer)
    return result


class Bin(NamedTuple):
    """Fields whose confidence lies in [low, high)."""

    low: float
    high: float
    count: int
    mean: float
    right: float


def reliability(tasks: Iterable[Task], answers: Iterable[Answer]) -> list[Bin]:
    """Confidence beside the share that is right."""
    pairs = [
        (verdict.confidence, not verdict.error)
        for task, answer in zip(tasks, answers, strict=True)
        for verdict in verdicts(task, answer).values()
        if verdict.confidence is not None
    ]
    found = []
    for low, high in pairwise(BINS):
        inside = [one for one in pairs if low <= one[0] < high or (one[0] == high == 1.0)]
        count = max(1, len(inside))
        found.append(Bin(low, high, len(inside), sum(p for p, _ in inside) / count, sum(r for _, r in inside) / count))
    return found


class Kept(NamedTuple):
    """What a job with a limit of confidence leaves: per cent of all fields, and of those that hold a value."""

    least: float
    right: float
    filled: float
    right_of_filled: float


def with_limit(tasks: Iterable[Task], answers: Iterable[Answer], least: float) -> Kept:
    """Fields less sure than `least` as null, where the schema allows null."""
    num_all = num_right = num_filled = num_filled_right = 0
    for task, answer in zip(tasks, answers, strict=True):
        nullable = nullable_names(task.schema)
        for name, verdict in verdicts(task, answer).items():
            is_null = verdict.value is None or ((verdict.confidence or 0.0) < least and name in nullable)
            is_right = task.expected[name] is None if is_null else not verdict.error
            num_all, num_right = num_all + 1, num_right + is_right
            num_filled, num_filled_right = num_filled + (not is_null), num_filled_right + (is_right and not is_null)
    shares = (num_right / max(1, num_all), num_filled / max(1, num_all), num_filled_right / max(1, num_filled))
    return Kept(least, *(100 * share for share in shares))


def expected_error(bins: Iterable[Bin]) -> float:
    """How far confidence and truth are apart, on average over the fields (0 to 1)."""
    given = list(bins)
    return sum(one.count * abs(one.mean - one.right) for one in given) / max(1, sum(one.count for one in given))


def reliability_lines(bins: Iterable[Bin]) -> list[str]:
    """The table, a line a bin that has fields."""
    rows = [
        f"    {one.low:4.2f}-{one.high:4.2f} {one.count:7}   {one.mean:9.2f} {one.right:7.2f}"
        for one in bins
        if one.count
    ]
    return ["    confidence   fields    on average    right", *rows]
