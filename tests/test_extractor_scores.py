"""What the extractor's scores count, on records small enough to count by hand."""

from __future__ import annotations

import math

import pytest

from bench import extractor_calibration
from bench.extractor_scores import Answer, Kept, error_kind, expected_error, field_kind, reliability, tally, with_limit
from bench.hand_written import Task
from radixgen.jobs.confidence import KINDS


@pytest.mark.parametrize(
    ("expected", "value", "error"),
    [
        ("Ada  Lovelace", "Ada Lovelace", ""),
        (None, None, ""),
        (3, 3.0, ""),
        ("Ada", None, "missed"),
        (None, "Ada", "invented"),
        (None, [], "invented"),
        ("Ada Lovelace", "Ada", "border"),
        ("Ada", "Ada Lovelace of London", "border"),
        ("14:00", "14:00-15:30", "border"),
        ("Ada", "Bob", "place"),
        ("Ada", "Adam Smith", "border"),
        (3, 4, "place"),
        (True, False, "choice"),
        (["a", "b"], ["a", "c"], "list"),
        (["a", "b"], ["c"], "place"),
        ([{"n": "a", "q": 1}], [{"n": "a", "q": 2}], "list"),
    ],
)
def test_an_error_has_a_kind(expected: object, value: object, error: str) -> None:
    assert error_kind(expected, value) == error


@pytest.mark.parametrize(
    ("schema", "value", "kind"),
    [
        ({"type": "string"}, "x", "string"),
        ({"type": ["string", "null"], "format": "date"}, "2024-01-01", "date"),
        ({"type": ["string", "null"], "format": "date"}, None, "null"),
        ({"type": "string", "format": "hostname"}, "x", "string"),
        ({"enum": ["a", "b"]}, "a", "choice"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 3, "integer"),
        ({"type": "array", "items": {}}, [], "array"),
    ],
)
def test_a_field_has_a_kind(schema: dict[str, object], value: object, kind: str) -> None:
    assert field_kind(schema, value) == kind


def task(**expected: object) -> Task:
    properties = {name: {"type": "string"} for name in expected}
    return Task("t", "text", {"properties": properties}, dict(expected))


def test_fields_records_and_errors_are_counted_and_a_missing_record_is_wrong_throughout() -> None:
    tasks = [task(a="x", b=None), task(a="x", b="y"), task(a="x")]
    given = [Answer({"a": "x", "b": None}, {}), Answer({"a": "x", "b": "q"}, {}), Answer(None, {})]
    score = tally(tasks, given)
    assert score.fields == {"all": [3, 5], "string": [2, 4], "null": [1, 1]}
    assert score.records == [1, 3]
    assert (score.errors["place"], score.errors["failed"]) == (1, 1)


def test_reliability_compares_confidence_with_truth() -> None:
    tasks = [task(a="x")] * 4
    given = [Answer({"a": "x"}, {"a": 0.7}), *[Answer({"a": "z"}, {"a": 0.7})] * 2, Answer({"a": "x"}, {"a": 1.0})]
    bins = [one for one in reliability(tasks, given) if one.count]
    assert [(one.count, round(one.mean, 3), round(one.right, 3)) for one in bins] == [(3, 0.7, 0.333), (1, 1.0, 1.0)]
    assert math.isclose(expected_error(bins), 3 * (0.7 - 1 / 3) / 4)


def test_a_limit_makes_doubtful_fields_null_where_that_is_allowed() -> None:
    one = Task(
        "t", "text", {"properties": {"a": {"type": ["string", "null"]}, "b": {"type": "string"}}}, {"a": None, "b": "y"}
    )
    given = [Answer({"a": "x", "b": "y"}, {"a": 0.4, "b": 0.4})]
    assert with_limit([one], given, 0.3) == Kept(0.3, 50.0, 100.0, 50.0)
    assert with_limit([one], given, 0.5) == Kept(0.5, 100.0, 50.0, 100.0)


def test_a_fitted_calibration_says_the_share_that_is_right() -> None:
    tasks = [task(a="x")] * 400
    given = [Answer({"a": "x" if at % 10 < 3 else "z"}, {"a": 0.9}) for at in range(400)]
    calibration = extractor_calibration.fit(tasks, given)
    assert set(calibration.lines) == set(KINDS)
    assert abs(calibration.of("string", 0.9) - 0.3) < 0.02
    assert abs(calibration.of("number", 0.9) - 0.3) < 0.1
