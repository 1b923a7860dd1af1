"""The masks of a whole batch in one call: what differs is gathered, then one loop without the GIL writes all rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from radixgen.mask.matcher import Bits, MaskFill, Matcher
from radixgen.mask.states import Record
from radixgen.mask.walk import NONE


def fill_masks(matchers: Sequence[Matcher], rows: Sequence[int], buffer: Bits) -> list[MaskFill]:
    """Write the mask of matchers[k] into buffer[rows[k]]; all of one engine. As `Matcher.fill_mask` for each.

    buffer: uint32 [rows, at least W].
    """
    fills, records, places = [], [], []
    for matcher, row in zip(matchers, rows, strict=True):
        record = matcher.find_record()
        if record is None:
            fills.append(matcher.fill_mask(buffer[row]))
        else:
            fills.append(MaskFill(record.num_allowed, False))
            records.append(record)
            places.append(row)
    if records:
        _fill(matchers[0], records, places, buffer)
    return fills


def _fill(matcher: Matcher, records: list[Record], places: list[int], buffer: Bits) -> None:
    pieces, count = matcher.grammar.pieces, len(records)
    removed, ids = [one.removed for one in records], [one.ids for one in records]
    pieces.walker.kernels.fill_rows(
        pieces.pool.rows,
        np.fromiter([one.slot.index for one in records], np.int64, count),
        np.concatenate(removed) if any(map(len, removed)) else NONE,
        np.cumsum(np.fromiter(map(len, removed), np.int64, count)),
        np.concatenate(ids),
        np.cumsum(np.fromiter(map(len, ids), np.int64, count)),
        np.array(places, np.int64),
        buffer,
    )
