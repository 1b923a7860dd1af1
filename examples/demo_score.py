"""Exact comparison of records with the expected ones: white space aside, a field is right or wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Score(NamedTuple):
    """Fields and whole records that are right, of how many."""

    fields_right: int = 0
    fields: int = 0
    records_right: int = 0
    records: int = 0

    def plus(self, other: Score) -> Score:
        """Both counts together."""
        return Score(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def field_share(self) -> float:
        """Right fields as a share of all fields."""
        return self.fields_right / self.fields if self.fields else 0.0

    @property
    def record_share(self) -> float:
        """Records right in all fields as a share of all records."""
        return self.records_right / self.records if self.records else 0.0


def score_record(expected: Mapping[str, Any], record: Mapping[str, Any] | None) -> Score:
    """Compare field by field; a record that is missing is wrong in every field."""
    right = sum(is_right(expected, record, name) for name in expected)
    return Score(right, len(expected), int(right == len(expected)), 1)


def is_right(expected: Mapping[str, Any], record: Mapping[str, Any] | None, name: str) -> bool:
    """Whether the record has this field with the expected value; a field that nobody expected is wrong."""
    return record is not None and name in record and name in expected and is_same(expected[name], record[name])


def is_same(expected: Any, value: Any) -> bool:
    """Strings equal after runs of white space became one space, numbers by value, lists item by item."""
    if isinstance(expected, str) and isinstance(value, str):
        return expected.split() == value.split()
    if isinstance(expected, Sequence) and isinstance(value, Sequence) and not isinstance(expected, str):
        return len(expected) == len(value) and all(map(is_same, expected, value))
    return isinstance(expected, bool) == isinstance(value, bool) and expected == value
