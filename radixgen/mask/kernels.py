"""The hot loops, as plain functions that numba compiles (walk.py) and Python can run as they stand.

All walk the trie of `TokenIndex`. Sets are written as bits (`bits`, a mask that starts empty) and as a list (`ids`),
so that a small result can be kept small and the mask be cleared by its own list.
"""

from __future__ import annotations

from typing import Any

UNKNOWN = -2
FAR = 1 << 28


def add_token(token: Any, bits: Any, ids: Any, num_ids: Any) -> Any:
    """Set the bit of `token`; append it if it is new. Returns the new length of `ids`."""
    word, bit = token >> 5, 1 << int(token & 31)
    if bits[word] & bit:
        return num_ids
    bits[word] |= bit
    ids[num_ids] = token
    return num_ids + 1


def add_exit(node: Any, skip: Any, mark: Any, exits: Any, num_exits: Any) -> Any:
    """Remember a node where the scalar may end, unless no token goes on from it or it is there already."""
    if skip[node] == node + 1 or mark[node]:
        return num_exits
    mark[node] = 1
    exits[num_exits] = node
    return num_exits + 1


def walk_table(
    table: Any, accepting: Any, trie: Any, roots: Any, rows: Any, bits: Any, ends: Any, seen: Any, scratch: Any
) -> Any:
    """Walk the subtrees of `roots` by an automaton that stands in `rows` there; a root's own token is not looked at.

    A node whose row is not filled in yet is `blocked`: the caller fills the row and walks on from there.
    trie is (byte, skip, token, depth), scratch (path, mark, ids, exits, blocked nodes, blocked rows).
    ends [V] or empty: the row in which each token ends. seen [capacity]: 1 for every row in which a token ends.
    Returns (number of ids, of exits, of blocked), the last -1 when there is no room for more blocked nodes.
    """
    byte, skip, token, depth = trie
    path, mark, ids, exits, blocked_nodes, blocked_rows = scratch
    num_ids, num_exits, num_blocked = 0, 0, 0
    for k in range(len(roots)):
        node, row = roots[k], rows[k]
        stop = skip[node]
        path[depth[node]] = row
        if table[row, 0] == UNKNOWN:
            if num_blocked == len(blocked_nodes):
                num_blocked = -1
                break
            blocked_nodes[num_blocked], blocked_rows[num_blocked] = node, row
            num_blocked += 1
            continue
        node += 1
        while node < stop:
            row = table[path[depth[node] - 1], byte[node]]
            if row < 0:
                node = skip[node]
                continue
            if token[node] >= 0:
                num_ids = add_token(token[node], bits, ids, num_ids)
                seen[row] = 1
                if len(ends):
                    ends[token[node]] = row
            if accepting[row]:
                num_exits = add_exit(node, skip, mark, exits, num_exits)
            if skip[node] > node + 1 and table[row, 0] == UNKNOWN:
                if num_blocked == len(blocked_nodes):
                    num_blocked = -1
                    break
                blocked_nodes[num_blocked], blocked_rows[num_blocked] = node, row
                num_blocked += 1
                node = skip[node]
                continue
            path[depth[node]] = row
            node += 1
        if num_blocked < 0:
            break
    for k in range(num_exits):
        mark[exits[k]] = 0
    return num_ids, num_exits, num_blocked


def find_child(node: Any, want: Any, byte: Any, first_child: Any, child: Any, root_child: Any) -> Any:
    """The child of `node` by byte `want`, or 0. Binary search; the root by its table."""
    if node == 0:
        return root_child[want]
    low, high = first_child[node], first_child[node + 1]
    while low < high:
        middle = (low + high) >> 1
        if byte[child[middle]] < want:
            low = middle + 1
        else:
            high = middle
    if low < first_child[node + 1] and byte[child[low]] == want:
        return child[low]
    return 0


def walk_text(node: Any, text: Any, may_end: Any, gaps: Any, positions: Any, trie: Any, bits: Any, scratch: Any) -> Any:
    """Walk from `node` along a text from each of `positions`: tokens that quote it, and tokens that close the quote.

    trie is (byte, skip, token, first_child, child, root_child), scratch (mark, ids, exits); gaps [n+1]: bytes until the
    quote may end. Returns (number of ids, of exits, the largest gap after a token).
    """
    byte, skip, token, first_child, child, root_child = trie
    mark, ids, exits = scratch
    num_ids, num_exits, tail = 0, 0, 0
    for k in range(len(positions)):
        here, at = node, positions[k]
        while True:
            if may_end[at]:
                close = find_child(here, 34, byte, first_child, child, root_child)
                if close > 0:
                    if token[close] >= 0:
                        num_ids = add_token(token[close], bits, ids, num_ids)
                    num_exits = add_exit(close, skip, mark, exits, num_exits)
            if at >= len(text):
                break
            here = find_child(here, text[at], byte, first_child, child, root_child)
            if here <= 0:
                break
            at += 1
            if token[here] >= 0:
                num_ids = add_token(token[here], bits, ids, num_ids)
                tail = max(tail, gaps[at])
    for k in range(num_exits):
        mark[exits[k]] = 0
    return num_ids, num_exits, tail


def fewest_tokens(data: Any, trie: Any, counts: Any, tokens: Any) -> Any:
    """Write `data` with the fewest tokens, found from its end: counts[i] of them for data[i:], tokens[i] the first.

    counts [n+1], tokens [n]. FAR where no tokens spell it. Returns counts[0].
    """
    byte, _skip, token, first_child, child, root_child = trie
    counts[len(data)] = 0
    for start in range(len(data) - 1, -1, -1):
        counts[start], tokens[start] = FAR, -1
        node, at = 0, start
        while at < len(data):
            node = find_child(node, data[at], byte, first_child, child, root_child)
            if node <= 0:
                break
            at += 1
            if token[node] >= 0 and counts[at] + 1 <= counts[start]:
                counts[start], tokens[start] = counts[at] + 1, token[node]
    return counts[0]


def set_ids(bits: Any, ids: Any) -> Any:
    """Set the bits of `ids`."""
    for k in range(len(ids)):
        bits[ids[k] >> 5] |= 1 << int(ids[k] & 31)


def clear_ids(bits: Any, ids: Any, num_ids: Any) -> Any:
    """Clear the words that hold `ids[:num_ids]`."""
    for k in range(num_ids):
        bits[ids[k] >> 5] = 0
