"""How sure a job is of what a model wrote: calibrated probabilities, and what is done about low ones.

The engine tells the model's own probability of every string, number and literal (`Completion.confidence`). That is no
share of right answers yet: models are surer than they are right, and more so of some kinds of values than of others.
A checkpoint may therefore carry `calibration.json`, a line for each kind of value, fitted on documents it never saw:

    kind      string, format (a string that has one), number, choice (enum, true, false), null,
              list (an array or object as a whole)
    right     1 / (1 + exp(-(offset + slope * log(p / (1 - p)))))    where p is the model's probability of the value

Without the file probabilities stay what they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from radixgen.errors import InputError
from radixgen.jobs.fields import formatted_names, nullable_names

KINDS = ("string", "format", "number", "choice", "null", "list")
FILE = "calibration.json"
_EDGE = 1e-4


class Line(NamedTuple):
    """Of a kind's log-odds."""

    offset: float = 0.0
    slope: float = 1.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """From a model's probabilities to shares of right answers."""

    lines: Mapping[str, Line] = field(default_factory=dict)

    @classmethod
    def find(cls, model: str) -> Calibration:
        """That of 'builtin' or of a folder; one that changes nothing where there is none.

        Raises:
            InputError: for a file that cannot be read.
        """
        path = _folder(model) / FILE
        if not path.is_file():
            return cls()
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            return cls({kind: Line(*map(float, given[kind])) for kind in KINDS})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: not a calibration: {error!r}; see radixgen.jobs.confidence, or remove it"
            ) from None

    def write(self, model: str) -> Path:
        """Beside a model's weights."""
        path = _folder(model) / FILE
        rows = (f'  "{kind}": [{line.offset:.3f}, {line.slope:.3f}]' for kind, line in sorted(self.lines.items()))
        path.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
        return path

    def of(self, kind: str, probability: float) -> float:
        """The share of right answers among values of a kind with this probability."""
        line = self.lines.get(kind)
        if line is None:
            return probability
        return 1 / (1 + math.exp(-(line.offset + line.slope * log_odds(probability))))

    def of_values(
        self, schema: Mapping[str, Any], record: Any, confidence: Mapping[str, float], quotes: Collection[str] = ()
    ) -> dict[str, float]:
        """JSON pointer to calibrated probability: of every value in `confidence`, and of top-level arrays and objects.

        quotes: the pointers of values that quote the document; strings that do not were chosen from the schema.
        """
        formatted = {as_pointer(name) for name in formatted_names(schema)}
        found = {}
        for pointer, probability in confidence.items():
            kind = _kind(value_at(record, pointer), is_quote=pointer in quotes)
            has_format = kind == "string" and "/".join(pointer.split("/")[:2]) in formatted
            found[pointer] = self.of("format" if has_format else kind, probability)
        for name, value in record.items() if isinstance(record, Mapping) else ():
            if isinstance(value, list | dict):
                pointer = as_pointer(name)
                inside = [one for at, one in confidence.items() if at.startswith(pointer + "/")]
                found[pointer] = self.of("list", math.prod(inside))
        return found


class Judged(NamedTuple):
    """A record by how sure each of its fields is.

    withheld: what stood in fields that are null now. unsure: pointers of those that are as doubtful and could not be.
    """

    record: Any
    withheld: Mapping[str, Any]
    unsure: tuple[str, ...]


def judge(schema: Mapping[str, Any], record: Any, confidence: Mapping[str, float], least: float) -> Judged:
    """The record with null in the fields whose confidence is below `least`, where the schema allows that."""
    if not isinstance(record, Mapping):
        return Judged(record, {}, tuple(pointer for pointer, one in confidence.items() if one < least))
    doubtful = [name for name in record if confidence.get(as_pointer(name), 1.0) < least and record[name] is not None]
    nullable = nullable_names(schema)
    withheld = {name: record[name] for name in doubtful if name in nullable}
    unsure = tuple(as_pointer(name) for name in doubtful if name not in nullable)
    return Judged({**record, **dict.fromkeys(withheld)}, withheld, unsure)


def log_odds(probability: float) -> float:
    """Finite also for 0 and 1."""
    inside = min(max(probability, _EDGE), 1 - _EDGE)
    return math.log(inside / (1 - inside))


def as_pointer(name: str) -> str:
    """The JSON pointer of a property of the record."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def value_at(record: Any, pointer: str) -> Any:
    """What stands at a pointer that the record has."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        record = record[int(key)] if isinstance(record, list) else record[key]
    return record


def _kind(value: Any, *, is_quote: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool) or (isinstance(value, str) and not is_quote):
        return "choice"
    return "string" if isinstance(value, str) else "number"


def _folder(model: str) -> Path:
    # the built-in model's folder by place: `radixgen.builtin` is a part above this one and may not be imported
    return Path(__file__).parents[1] / "builtin" if model == "builtin" else Path(model).expanduser()
