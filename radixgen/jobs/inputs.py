"""Where documents come from: JSONL, CSV, text files, folders of them, or standard input.

A source is read row by row, twice: once to count and to check ids before any model is loaded, once to work. What is
wrong with one row is that row's error; what is wrong with a file stops the job before it starts.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from radixgen.errors import InputError

_TEXT_ENDINGS = frozenset({"", ".txt", ".text", ".md", ".markdown", ".rst", ".eml", ".log"})
_ROW_ENDINGS = frozenset({".jsonl", ".ndjson", ".csv", ".tsv"})
_CONVERT = {
    ".pdf": "turn it into text first, for example: pdftotext -layout {name} {stem}.txt",
    ".html": "turn it into text first, for example: lynx -dump -nolist {name} > {stem}.txt",
    ".htm": "turn it into text first, for example: lynx -dump -nolist {name} > {stem}.txt",
    ".docx": "turn it into text first, for example: pandoc {name} -t plain -o {stem}.txt",
    ".json": "write one JSON object a line and name it {stem}.jsonl, for example: jq -c '.[]' {name} > {stem}.jsonl",
    ".parquet": "write it as JSONL or CSV first",
}
_FIELD_LIMIT = 1 << 27


class Row(NamedTuple):
    """One document, or what is wrong with it. `place` is for people: file and line."""

    id: str
    text: str
    error: str | None
    place: str


class RowFormat(NamedTuple):
    """Which fields of a JSONL object or CSV row matter; no `id_field`: `id` if there is one, else file and line."""

    text_field: str = "text"
    id_field: str | None = None


class Source:
    """The rows of some inputs, in order; iterating again reads again.

    Raises:
        InputError: at once, when an input is missing, unreadable, of an unsupported kind or lacks its columns.
    """

    def __init__(
        self, inputs: Sequence[str], row_format: RowFormat | None = None, leave_out: Sequence[Path] = ()
    ) -> None:
        """leave_out: files that are not input although they lie in a folder that is: the job's own output."""
        if not inputs:
            raise InputError("no input: name files or folders, or '-' for standard input")
        self._format = row_format or RowFormat()
        self._stdin: str | None = None
        self._files: list[tuple[Path | None, str]] = []
        for name in inputs:
            self._files += [(None, "-")] if name == "-" else _files_of(Path(name), is_only=len(inputs) == 1)
        own = {path.absolute() for path in leave_out}
        self._files = [(path, name) for path, name in self._files if path is None or path.absolute() not in own]
        for path, _ in self._files:
            if path is not None:
                _check(path, self._format)

    def __iter__(self) -> Iterator[Row]:
        for path, name in self._files:
            yield from self._rows_of(path, name)

    def _rows_of(self, path: Path | None, name: str) -> Iterator[Row]:
        if path is None:
            yield from _jsonl_rows(io.StringIO(self._read_stdin(), newline=""), "stdin", self._format)
        elif path.suffix.lower() in (".csv", ".tsv"):
            with _open(path) as file:
                yield from _csv_rows(file, name, self._format, "\t" if path.suffix.lower() == ".tsv" else ",")
        elif path.suffix.lower() in _ROW_ENDINGS:
            with _open(path) as file:
                yield from _jsonl_rows(file, name, self._format)
        else:
            yield _text_row(path, name)

    def _read_stdin(self) -> str:
        if self._stdin is None:
            self._stdin = sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape")
        return self._stdin

    def checked_ids(self) -> list[str]:
        """All ids, in order.

        Raises:
            InputError: when two rows have the same id, naming both places.
        """
        places: dict[str, str] = {}
        for row in self:
            if row.id in places:
                raise InputError(
                    f"id {row.id!r} stands twice, at {places[row.id]} and {row.place}: ids must be unique; "
                    "name another field with --id-field, or leave ids out to use file and line"
                )
            places[row.id] = row.place
        return list(places)


def _files_of(path: Path, *, is_only: bool) -> list[tuple[Path | None, str]]:
    """The files with the names their rows go by: within the one input, or as given where there are several."""
    try:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.is_file() and not _is_hidden(p.relative_to(path)))
            if not found:
                raise InputError(f"{path}: the folder holds no files")
            return [(p, (p.relative_to(path) if is_only else p).as_posix()) for p in found]
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return [(path, path.name if is_only else path.as_posix())]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _check(path: Path, row_format: RowFormat) -> None:
    ending = path.suffix.lower()
    if ending not in _TEXT_ENDINGS | _ROW_ENDINGS:
        hint = _CONVERT.get(ending, "supported are .jsonl, .csv, .tsv and text files (.txt, .md, .eml, ...)")
        raise InputError(f"{path}: {ending} files cannot be read; {hint.format(name=path.name, stem=path.stem)}")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if ending in (".csv", ".tsv"):
        _check_columns(path, row_format, "\t" if ending == ".tsv" else ",")


def _check_columns(path: Path, row_format: RowFormat, delimiter: str) -> None:
    csv.field_size_limit(_FIELD_LIMIT)
    try:
        with _open(path) as file:
            header = next(csv.reader(file, delimiter=delimiter), [])
    except csv.Error as error:
        raise InputError(f"{path}:1: not CSV: {error}") from None
    wanted = [row_format.text_field] + ([row_format.id_field] if row_format.id_field else [])
    for name in wanted:
        if name not in header:
            columns = ", ".join(header) or "none"
            raise InputError(f"{path}: no column {name!r}; its columns are: {columns}; use --text-field or --id-field")


def _open(path: Path) -> TextIO:
    return path.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="")


def _text_row(path: Path, name: str) -> Row:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Row(name, "", f"not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start}", name)
    except OSError as error:
        return Row(name, "", f"cannot be read: {error.strerror}", name)
    return _checked(Row(name, text, None, name))


def _checked(row: Row) -> Row:
    """The row, unless its text is empty or came from bytes that are not UTF-8."""
    if row.error is not None:
        return row
    if not row.text.strip():
        return row._replace(error="the document is empty")
    try:
        row.text.encode("utf-8")
        row.id.encode("utf-8")
    except UnicodeEncodeError:
        place = row.place.encode("utf-8", "replace").decode("utf-8")
        row_id = row.id if row.id.isprintable() and row.id.encode("utf-8", "ignore").decode() == row.id else place
        return row._replace(id=row_id, text="", error="not UTF-8, or holds half of a surrogate pair")
    return row


def _jsonl_rows(file: Iterable[str], name: str, row_format: RowFormat) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield _checked(_jsonl_row(line, f"{name}:{number}", row_format))


def _jsonl_row(line: str, place: str, row_format: RowFormat) -> Row:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Row(place, "", f"not a JSON line: {error}", place)
    if not isinstance(data, dict):
        return Row(place, "", f"the line holds a {type(data).__name__}, not a JSON object", place)
    row_id = _id_of(data, place, row_format)
    if row_id is None:
        return Row(place, "", f"no field {row_format.id_field!r} for the id", place)
    text = data.get(row_format.text_field)
    if not isinstance(text, str):
        has = ", ".join(list(data)[:8]) or "none"
        return Row(row_id, "", f"no text in field {row_format.text_field!r}; its fields are: {has}", place)
    return Row(row_id, text, None, place)


def _id_of(data: dict[str, object], place: str, row_format: RowFormat) -> str | None:
    value = data.get(row_format.id_field or "id")
    if value is None or isinstance(value, dict | list) or value == "":
        return None if row_format.id_field else place
    return value if isinstance(value, str) else json.dumps(value)


def _csv_rows(file: TextIO, name: str, row_format: RowFormat, delimiter: str) -> Iterator[Row]:
    reader = csv.DictReader(file, delimiter=delimiter, strict=True)
    while True:
        try:
            data = next(reader, None)
        except csv.Error as error:
            raise InputError(f"{name}:{reader.line_num}: not CSV: {error}") from None
        if data is None:
            return
        place = f"{name}:{reader.line_num}"
        row_id = _id_of({key: value for key, value in data.items() if key is not None}, place, row_format)
        text = data.get(row_format.text_field)
        if row_id is None:
            yield Row(place, "", f"no value in column {row_format.id_field!r} for the id", place)
        elif text is None:
            yield Row(row_id, "", f"the row ends before column {row_format.text_field!r}", place)
        else:
            yield _checked(Row(row_id, text, None, place))
