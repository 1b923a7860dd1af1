"""Where records go: `.jsonl`, `.csv` or `.parquet`, each row written whole as it finishes, and how a run is resumed.

Beside OUT lies `OUT.job`, a small JSON file that says what made it (schema, model, options); a resumed run must be the
same job. A row that was torn when the process died is dropped, an error row is dropped and tried again.

Parquet cannot be appended to: its rows go to `OUT.rows.jsonl` first, from which OUT is made whenever a run ends.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from radixgen.errors import InputError
from radixgen.jobs.confidence import as_pointer

ERROR_COLUMN = "error"
_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_EXTRAS = ("offsets", "confidence", "closed", "usage")
_JUDGED = ("withheld", "unsure")


class Record(NamedTuple):
    """One row of output: a record with what is known of it, or an error."""

    id: str
    record: Any = None
    offsets: Mapping[str, tuple[int, int]] | None = None
    confidence: Mapping[str, float] | None = None
    closed: tuple[str, ...] = ()
    usage: Mapping[str, Any] | None = None
    error: str | None = None
    withheld: Mapping[str, Any] | None = None
    """By name, what stood in fields that are null now for want of confidence; None where none was asked for."""
    unsure: tuple[str, ...] | None = None
    """Pointers of fields as doubtful that could not be null."""

    def as_json(self) -> dict[str, Any]:
        if self.error is not None:
            return {"id": self.id, "error": self.error}
        extras = {"offsets": self.offsets or {}, "confidence": self.confidence or {}}
        judged = {} if self.withheld is None else {"withheld": self.withheld, "unsure": list(self.unsure or ())}
        return {
            "id": self.id,
            "record": self.record,
            **extras,
            **judged,
            "closed": list(self.closed),
            "usage": self.usage or {},
        }


class Columns(NamedTuple):
    """A column a property, and one for what they do not hold: other keys, or an answer that is no object."""

    names: tuple[str, ...]
    rest: str | None = None
    has_confidence: bool = False
    """Of a .csv: a column beside each that tells how sure its value is."""

    @property
    def all(self) -> tuple[str, ...]:
        return self.names if self.rest is None else (*self.names, self.rest)

    def values(self, record: Any) -> dict[str, Any]:
        """The record by column; a failed row has none."""
        if not isinstance(record, Mapping):
            return {} if record is None or self.rest is None else {self.rest: record}
        others = {name: value for name, value in record.items() if name not in self.names}
        found = {name: record[name] for name in self.names if name in record}
        return {**found, self.rest: others} if self.rest is not None and others else found


class Writer(Protocol):
    """Rows out. `write` puts a whole row on disk; `close` makes OUT what it shall be."""

    def write(self, record: Record) -> None: ...

    def close(self) -> None: ...


class Output:
    """An output file and what it already holds.

    Raises:
        InputError: when OUT exists without `resume`, was made by another job, or cannot be written.
    """

    def __init__(self, path: Path, columns: Columns, job: Mapping[str, Any], *, resume: bool) -> None:
        self.path = path
        self._columns, self._resume = columns, resume
        self._job_path = path.with_name(path.name + ".job")
        kind = path.suffix.lower()
        if kind not in (".jsonl", ".csv", ".parquet"):
            raise InputError(f"{path}: the output must end in .jsonl, .csv or .parquet")
        if kind == ".parquet":
            _import_pyarrow()
        self._rows_path = path.with_name(path.name + ".rows.jsonl") if kind == ".parquet" else path
        self._job = job
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._kept = self._find_kept()
        except OSError as error:
            raise _unwritable(path, error) from None
        if not os.access(path.parent, os.W_OK):
            raise InputError(f"{path}: cannot be written: no permission for its folder")

    @property
    def done(self) -> frozenset[str]:
        """Ids of the records it holds."""
        return self._kept.ids

    def _find_kept(self) -> _Kept:
        exists = self._rows_path.exists() or self.path.exists()
        if exists and not self._resume:
            raise InputError(f"{self.path} exists; add --resume to go on with it, or name another output")
        if not exists:
            return _Kept(self._header(), frozenset())
        self._check_same_job(self._job)
        return self._kept_lines()

    def _check_same_job(self, job: Mapping[str, Any]) -> None:
        try:
            before = json.loads(self._job_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise InputError(
                f"{self.path} cannot be resumed: {self._job_path.name}, which says what made it, is missing or "
                "damaged; name another output"
            ) from None
        changed = [key for key in sorted({*before, *job}) if before.get(key) != json.loads(json.dumps(job.get(key)))]
        if changed:
            raise InputError(
                f"{self.path} cannot be resumed: {', '.join(changed)} changed since it was begun; "
                "run with what it was begun with, or name another output"
            )

    def _header(self) -> str:
        return (
            _csv_line(["id", *_csv_labels(self._columns), ERROR_COLUMN]) if self.path.suffix.lower() == ".csv" else ""
        )

    def _kept_lines(self) -> _Kept:
        if not self._rows_path.exists():
            raise InputError(
                f"{self.path} cannot be resumed: {self._rows_path.name}, its rows, is missing; name another output"
            )
        if self.path.suffix.lower() == ".csv":
            return _kept_csv(self._rows_path.read_bytes(), self._header())
        return _kept_jsonl(self._rows_path.read_bytes())

    def open(self) -> Writer:
        """Begin to write. Nothing on disk is touched before, so a job that cannot start leaves nothing behind."""
        lock = self._locked()
        try:
            self._kept = self._find_kept()  # again: another job may have ended since
            _replace(self._rows_path, self._kept.text)
            lock.truncate(0)
            lock.write(json.dumps(self._job, ensure_ascii=False, indent=1) + "\n")
            lock.flush()
            if self.path.suffix.lower() == ".csv":
                return _LineWriter(self.path, lambda record: _csv_row(record, self._columns), lock)
            lines = _LineWriter(self._rows_path, _json_line, lock)
        except BaseException as error:
            lock.close()
            raise (_unwritable(self.path, error) if isinstance(error, OSError) else error) from None
        return _ParquetWriter(lines, self.path, self._columns) if self.path.suffix.lower() == ".parquet" else lines

    def _locked(self) -> TextIO:
        """OUT.job, held by this process alone until it is closed: of two jobs on one output the second is refused."""
        try:
            file = self._job_path.open("a+", encoding="utf-8")
        except OSError as error:
            raise _unwritable(self.path, error) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise InputError(f"{self.path}: another job is writing it; wait for that, or name another output") from None
        return file


def output_files(path: Path) -> tuple[Path, ...]:
    """Everything a job with this output writes."""
    return path, path.with_name(path.name + ".job"), path.with_name(path.name + ".rows.jsonl")


class _Kept(NamedTuple):
    text: str
    ids: frozenset[str]


def _kept_jsonl(data: bytes) -> _Kept:
    """The whole record lines; torn, foreign and error lines are left out, and of two with one id the first stays."""
    lines: dict[str, str] = {}
    for row in _whole_rows(data):
        if "record" in row:
            lines.setdefault(row["id"], _one_line(row))
    return _Kept("".join(lines.values()), frozenset(lines))


def _whole_rows(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.decode("utf-8", errors="replace").split("\n"):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("id"), str):
            yield row


def _kept_csv(data: bytes, header: str) -> _Kept:
    lines: dict[str, str] = {}
    width = len(next(csv.reader([header])))
    reader = csv.reader(io.StringIO(data.decode("utf-8", errors="replace"), newline=""), strict=True)
    rows: list[list[str]] = []
    try:
        rows.extend(reader)
    except csv.Error:
        pass  # the last row was torn inside quotes
    else:
        if rows and not data.endswith(b"\n"):
            rows.pop()
    for row in rows[1:]:
        if len(row) == width and not row[-1]:
            lines.setdefault(row[0], _csv_line(row))
    return _Kept(header + "".join(lines.values()), frozenset(lines))


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{error.filename or path}: cannot be written: {error.strerror}")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8", newline="")
    os.replace(temporary, path)


def _json_line(record: Record) -> str:
    return _one_line(record.as_json())


def _one_line(row: Mapping[str, Any]) -> str:
    """JSON text on one line for every reader: some also end lines at the three characters that are escaped here."""
    return json.dumps(row, ensure_ascii=False).translate(_LINE_ENDS) + "\n"


def _csv_row(record: Record, columns: Columns) -> str:
    values, cells = columns.values(record.record), []
    for name in columns.all:
        cells.append(_cell(values.get(name)))
        if columns.has_confidence:
            cells.append(_cell((record.confidence or {}).get(as_pointer(name))))
    return _csv_line([record.id, *cells, record.error or ""])


def _csv_labels(columns: Columns) -> Iterator[str]:
    for name in columns.all:
        yield _label(name)
        if columns.has_confidence:
            yield f"confidence.{name}"


def _label(column: str) -> str:
    return f"record.{column}" if column in ("id", ERROR_COLUMN, *_EXTRAS, *_JUDGED) else column


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _csv_line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


class _LineWriter:
    """One write call a row on an unbuffered file, so that what is torn by a crash is at most the last row."""

    def __init__(self, path: Path, as_line: Callable[[Record], str], lock: TextIO) -> None:
        self.path = path
        self._as_line, self._lock = as_line, lock
        self._file = path.open("ab", buffering=0)

    def write(self, record: Record) -> None:
        """Raises `InputError` when the disk is full or gone; rows written before stay."""
        data = self._as_line(record).encode("utf-8", errors="replace")
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written: {error.strerror}; --resume goes on later") from None

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def _import_pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError("a .parquet output needs pyarrow: pip install 'radixgen[parquet]'") from None
    return pyarrow


class _ParquetWriter:
    """A column a property (typed by its values, JSON text where they mix), then what is known of it as JSON text."""

    def __init__(self, rows: _LineWriter, path: Path, columns: Columns) -> None:
        self._rows, self._path, self._columns = rows, path, columns

    def write(self, record: Record) -> None:
        self._rows.write(record)

    def close(self) -> None:
        self._rows.close()
        pyarrow = _import_pyarrow()
        rows = list(_whole_rows(self._rows.path.read_bytes()))
        extras = [*_EXTRAS, *(name for name in _JUDGED if any(name in row for row in rows))]
        names = ["id", *map(_label, self._columns.all), *extras, ERROR_COLUMN]
        columns = [[row["id"] for row in rows]]
        values = [self._columns.values(row.get("record")) for row in rows]
        columns += [[one.get(name) for one in values] for name in self._columns.all]
        columns += [
            [json.dumps(row[name], ensure_ascii=False) if name in row else None for row in rows] for name in extras
        ]
        columns.append([row.get("error") for row in rows])
        temporary = self._path.with_name(self._path.name + ".new")
        try:
            pyarrow.parquet.write_table(
                pyarrow.table([_typed(pyarrow, one) for one in columns], names=names), temporary
            )
            os.replace(temporary, self._path)
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {error.strerror or error}") from None


def _typed(pyarrow: Any, values: list[Any]) -> Any:
    try:
        array = pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
        array = pyarrow.array([None if value is None else _cell(value) for value in values], pyarrow.string())
    return array.cast(pyarrow.string()) if pyarrow.types.is_null(array.type) else array
