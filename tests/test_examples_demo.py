"""What `examples/demo.py` prints, with extractors that need no engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

from demo import Extractor, report, run_kind
from demo_set import Example, Kind, load_kinds


def fake_extractor(**changed: Any) -> Extractor:
    """Writes the expected records, but with some fields of every row changed."""

    def row(example: Example) -> str:
        usage = {"prompt_tokens": 400, "cached_tokens": 100}
        return json.dumps({"id": example.id, "record": example.expected, "usage": usage} | changed)

    def extract(kind: Kind, output: Path) -> None:
        output.write_text("\n".join(map(row, kind.examples)), encoding="utf-8")

    return extract


def printed(extractor: Extractor, folder: Path) -> str:
    return "\n".join(report([run_kind(extractor, kind, folder) for kind in load_kinds()]))


def last_cells(text: str) -> list[str]:
    """The cells of the table's line for all kinds."""
    return next(line for line in text.splitlines() if line.startswith("all ")).split()


def test_expected_records_score_full_marks(tmp_path: Path) -> None:
    text = printed(fake_extractor(), tmp_path)
    assert last_cells(text)[1:4] == ["310/310", "100%", "40/40"]
    assert "✗" not in text


def test_the_summary_tells_records_per_second_and_the_cached_share(tmp_path: Path) -> None:
    summary = printed(fake_extractor(), tmp_path).splitlines()[-1]
    assert summary.startswith("40 documents in ")
    assert summary.endswith("25% of 16,000 prompt tokens came from the cache")


def test_a_failed_document_is_wrong_in_every_field_and_shows_its_error(tmp_path: Path) -> None:
    text = printed(fake_extractor(record=None, error="the document is empty"), tmp_path)
    assert last_cells(text)[1:4] == ["0/310", "0%", "0/40"]
    assert "failed: the document is empty" in text


def test_a_wrong_field_is_shown_with_what_was_expected(tmp_path: Path) -> None:
    text = printed(fake_extractor(record={"vendor": "ROPEWALK"}), tmp_path)
    assert '✗ vendor: "ROPEWALK"' in text
    assert 'expected "HALVORSEN & DAUGHTERS SAILMAKERS"' in text


def test_records_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    kind = load_kinds()[0]
    (tmp_path / f"{kind.name}.jsonl").write_text("torn", encoding="utf-8")
    assert len(run_kind(fake_extractor(), kind, tmp_path).rows) == 5
