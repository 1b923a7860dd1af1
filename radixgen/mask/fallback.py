"""The kernels that numpy does better than Python, for where numba is not: same arguments, same results.

The walk is breadth first: a level of the trie at a time, so that it takes as many numpy calls as the trie is deep.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from radixgen.mask.kernels import UNKNOWN


def walk_table(
    table: Any, accepting: Any, loops: Any, trie: Any, roots: Any, rows: Any, bits: Any, ends: Any, seen: Any, out: Any
) -> tuple[int, int, int]:
    """See `kernels.walk_table`; the order of what is found differs, and no subtree is taken as a whole."""
    byte, skip, token = trie[:3]
    _, _, ids, exits, blocked = out
    found, left, left_rows, stuck_nodes, stuck_rows = [], [], [], [], []
    nodes, states = np.asarray(roots, np.int64), np.asarray(rows, np.int64)
    while nodes.size:
        is_stuck = (table[states, 0] == UNKNOWN) & (skip[nodes] > nodes + 1)
        stuck_nodes.append(nodes[is_stuck])
        stuck_rows.append(states[is_stuck])
        nodes, states = _children(skip, nodes[~is_stuck], states[~is_stuck])
        states = table[states, byte[nodes]].astype(np.int64)
        nodes, states = nodes[states >= 0], states[states >= 0]
        is_token = token[nodes] >= 0
        found.append(token[nodes[is_token]])
        seen[states[is_token]] = 1
        if len(ends):
            ends[found[-1]] = states[is_token]
        is_exit = accepting[states] > 0
        left.append(nodes[is_exit])
        left_rows.append(states[is_exit])
    new = np.unique(_joined(found))
    flags = np.zeros(len(bits) * 32, np.uint8)
    flags[new] = 1
    bits |= np.packbits(flags, bitorder="little").view("<u4")
    stuck, ended = _joined(stuck_nodes), np.unique([_joined(left), _joined(left_rows)], axis=1)
    exits[:, : ended.shape[1]] = ended
    if len(stuck) > blocked.shape[1]:
        return _put(ids, new), 0, -1
    _put(blocked[1], _joined(stuck_rows))
    return _put(ids, new), ended.shape[1], _put(blocked[0], stuck)


def find_below(byte: Any, skip: Any, valid: Any, below: Any) -> None:
    """See `kernels.find_below`: nothing is found, which nobody asks for."""


def fill_row(base: Any, removed: Any, ids: Any, row: Any) -> None:
    """See `kernels.fill_row`."""
    row[: len(base)] = base
    row[len(base) :] = 0
    np.bitwise_and.at(row, removed >> 5, ~_bits(removed))
    np.bitwise_or.at(row, ids >> 5, _bits(ids))


def fill_rows(
    pool: Any, slots: Any, removed: Any, removed_ends: Any, ids: Any, ids_ends: Any, rows: Any, out: Any
) -> None:
    """See `kernels.fill_rows`."""
    lists = np.split(removed, removed_ends[:-1]), np.split(ids, ids_ends[:-1])
    for slot, gone, more, row in zip(slots, *lists, rows, strict=True):
        fill_row(pool[slot], gone, more, out[row])


def _bits(ids: Any) -> npt.NDArray[np.uint32]:
    return np.uint32(1) << (ids & 31).astype(np.uint32)


def _children(skip: Any, nodes: Any, states: Any) -> tuple[Any, Any]:
    """All children of `nodes`, each with its parent's state: first children, then their next siblings, and so on."""
    at, stop = nodes + 1, skip[nodes]
    found, owner = [], []
    while at.size:
        is_inside = at < stop
        at, stop, states = at[is_inside], stop[is_inside], states[is_inside]
        found.append(at)
        owner.append(states)
        at = skip[at].astype(np.int64)
    return _joined(found), _joined(owner)


def _joined(parts: list[Any]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _put(buffer: Any, values: Any) -> int:
    buffer[: len(values)] = values
    return len(values)
