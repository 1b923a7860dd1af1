"""The hot loops, as plain functions that numba compiles (walk.py) and Python can run as they stand.

All walk the trie of `TokenIndex`: whole subtrees by its flat arrays, along texts by `trie`, its (tree, child). Sets are
written as bits (`bits`, a mask that starts empty) and as a list (`ids`), so that a small result can be kept small and
the mask be cleared by its own list.
"""

from __future__ import annotations

from typing import Any

UNKNOWN = -2
FAR = 1 << 28
CONTROL, BEYOND, BROKEN = 1 << 48, 1 << 49, 1 << 50
"""See `find_below`."""


def add_token(token: Any, bits: Any, ids: Any, num_ids: Any) -> Any:
    """Set the bit of `token`; append it if it is new. Returns the new length of `ids`."""
    word, bit = token >> 5, 1 << int(token & 31)
    if bits[word] & bit:
        return num_ids
    bits[word] |= bit
    ids[num_ids] = token
    return num_ids + 1


def add_exit(node: Any, row: Any, mark: Any, exits: Any, num_exits: Any) -> Any:
    """Remember a node where the scalar may end, and the row it ends in, unless it is there already."""
    if mark[node] == row + 1 or num_exits == exits.shape[1]:
        return num_exits
    mark[node] = row + 1
    exits[0, num_exits], exits[1, num_exits] = node, row
    return num_exits + 1


def walk_table(
    table: Any, accepting: Any, loops: Any, trie: Any, roots: Any, rows: Any, bits: Any, ends: Any, seen: Any, out: Any
) -> Any:
    """Walk the subtrees of `roots` by an automaton that stands in `rows` there; a root's own token is not looked at.

    A node whose row is not filled in yet is `blocked`: the caller fills the row and walks on from there.
    trie is `TokenIndex.trie`, out (path, mark, ids, exits, blocked); exits and blocked are [2, n]: nodes and rows.
    ends [V] or empty: the row in which each token ends. seen [capacity]: 1 for every row in which one ends.
    loops [rows, 2] or empty: bytes that lead from a row back to it (see `find_below`). A subtree of such bytes alone is
    taken as a whole, and `seen` is not told of characters that its tokens leave unfinished.
    Returns (number of ids, of exits, of blocked), the last -1 when there is no room for more blocked nodes.
    """
    byte, skip, token, depth, below, before, order = trie
    path, mark, ids, exits, blocked = out
    num_ids, num_exits, num_blocked = 0, 0, 0
    for k in range(len(roots)):
        node, row = roots[k], rows[k]
        stop = skip[node]
        path[depth[node]] = row
        if table[row, 0] == UNKNOWN:
            if num_blocked == blocked.shape[1]:
                num_blocked = -1
                break
            blocked[0, num_blocked], blocked[1, num_blocked] = node, row
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
                num_exits = add_exit(node, row, mark, exits, num_exits)
            elif len(loops) and not (below[node, 0] & ~loops[row, 0] or below[node, 1] & ~loops[row, 1]):
                for place in range(before[node + 1], before[skip[node]]):
                    num_ids = add_token(order[place], bits, ids, num_ids)
                    seen[row] = 1
                node = skip[node]
                continue
            if skip[node] > node + 1 and table[row, 0] == UNKNOWN:
                if num_blocked == blocked.shape[1]:
                    num_blocked = -1
                    break
                blocked[0, num_blocked], blocked[1, num_blocked] = node, row
                num_blocked += 1
                node = skip[node]
                continue
            path[depth[node]] = row
            node += 1
        if num_blocked < 0:
            break
    for k in range(num_exits):
        mark[exits[0, k]] = 0
    return num_ids, num_exits, num_blocked


def next_utf8(state: Any, byte: Any) -> Any:
    """Where a byte leads within UTF-8, or -1. States: 0 between characters, 1 to 3 so many bytes to come; behind 0xE0,
    0xED, 0xF0, 0xF4 (4 to 7) the next byte is one of fewer."""
    if state == 0:
        if byte < 0x80:
            return 0
        if byte < 0xC2 or byte > 0xF4:
            return -1
        if byte < 0xE0:
            return 1
        if byte < 0xF0:
            return 4 if byte == 0xE0 else 5 if byte == 0xED else 2
        return 6 if byte == 0xF0 else 7 if byte == 0xF4 else 3
    low, high = 0x80, 0xBF
    if state == 4:
        low = 0xA0
    elif state == 5:
        high = 0x9F
    elif state == 6:
        low = 0x90
    elif state == 7:
        high = 0x8F
    if byte < low or byte > high:
        return -1
    return state - 1 if state <= 3 else 1 if state <= 5 else 2


def find_below(byte: Any, skip: Any, valid: Any, below: Any) -> Any:
    """Which bytes the texts below each node hold, read from between two characters.

    below [N, 2]: 48 bits for 0x20 to 0x4F, and 48 for 0x50 to 0x7F with `CONTROL` for what comes before them, `BEYOND`
    for characters behind, `BROKEN` where the texts are no UTF-8. valid [N]: a bit for each state of `next_utf8` from
    which they are.
    """
    for node in range(len(byte) - 1, -1, -1):
        low, high, fine = 0, 0, 255
        child = node + 1
        while child < skip[node]:
            one = int(byte[child])
            low |= below[child, 0]
            high |= below[child, 1]
            if one >= 0x80:
                high |= BEYOND
            elif one >= 0x50:
                high |= 1 << (one - 0x50)
            elif one >= 0x20:
                low |= 1 << (one - 0x20)
            else:
                high |= CONTROL
            for state in range(8):
                after = next_utf8(state, one)
                if after < 0 or not valid[child] >> after & 1:
                    fine &= ~(1 << state)
            child = skip[child]
        valid[node] = fine
        below[node, 0] = low
        below[node, 1] = high & ~BROKEN | (0 if fine & 1 else BROKEN)


def walk_counted(table: Any, accepting: Any, between: Any, trie: Any, roots: Any, start: Any, out: Any) -> Any:
    """Walk the subtrees of `roots` from row `start` of a filled table, counting characters.

    between [rows]: 1 where a row stands between two characters; a character that has begun counts.
    out is (path, chars, ids, spans, exits): spans[i] is the number of characters that token ids[i] takes, -1 - number
    where it also ends the string; exits [2, n]: nodes behind the end, and their numbers of characters.
    Returns (number of ids, of exits).
    """
    byte, skip, token, depth, _, _, _ = trie
    path, chars, ids, spans, exits = out
    num_ids, num_exits = 0, 0
    for k in range(len(roots)):
        node = roots[k]
        stop = skip[node]
        path[depth[node]], chars[depth[node]] = start, 0
        node += 1
        while node < stop:
            before = path[depth[node] - 1]
            row = table[before, byte[node]]
            if row < 0:
                node = skip[node]
                continue
            count = chars[depth[node] - 1]
            if between[row] and before != 0:
                count += 1
            path[depth[node]], chars[depth[node]] = row, count
            if token[node] >= 0 and num_ids < len(ids):
                ids[num_ids] = token[node]
                spans[num_ids] = -1 - count if accepting[row] else count + 1 - between[row]
                num_ids += 1
            if accepting[row] and skip[node] > node + 1:
                exits[0, num_exits], exits[1, num_exits] = node, count
                num_exits += 1
            node += 1
    return num_ids, num_exits


def find_child(node: Any, want: Any, tree: Any, child: Any) -> Any:
    """The child of `node` by byte `want`, or 0, by binary search. tree and child: see `TokenIndex`."""
    low, high = tree[node, 3], tree[node + 1, 3]
    stop = high
    while low < high:
        middle = (low + high) >> 1
        if tree[child[middle], 0] < want:
            low = middle + 1
        else:
            high = middle
    if low < stop and tree[child[low], 0] == want:
        return child[low]
    return 0


def walk_words(
    nodes: Any, flat: Any, starts: Any, first: Any, end: Any, depth: Any, tree: Any, child: Any, out: Any
) -> Any:
    """Follow words first .. end-1 of a list from each of `nodes`, where `depth` bytes of them are written.

    Word i is flat[starts[i]:starts[i+1]]; they are sorted, and one shares what the trie knows of the one before it.
    out is [4, n]: ids; nodes and words where a word ends; scratch.
    Few arrays, for it is called for every key and comma. Returns (number of ids, of exits); some ids may come twice.
    """
    path = out[3]
    num_ids, num_exits, room = 0, 0, out.shape[1] - 1
    for k in range(len(nodes)):
        path[0] = nodes[k]
        alive = 0
        for w in range(first, end):
            at = starts[w] + depth
            size = starts[w + 1] - at
            shared = 0
            if w > first:
                before = starts[w - 1] + depth
                while shared <= alive and shared < size and before + shared < starts[w]:
                    if flat[before + shared] != flat[at + shared]:
                        break
                    shared += 1
                if shared > alive:
                    continue
            alive = shared
            node = path[alive]
            while alive < size:
                node = find_child(node, flat[at + alive], tree, child)
                if node == 0:
                    break
                alive += 1
                path[alive] = node
                if tree[node, 1] >= 0 and num_ids < room:
                    out[0, num_ids] = tree[node, 1]
                    num_ids += 1
            if alive == size and size > 0 and tree[node, 2] > node + 1 and num_exits < room:
                out[1, num_exits], out[2, num_exits] = node, w
                num_exits += 1
    return num_ids, num_exits


def walk_text(node: Any, text: Any, may_end: Any, gaps: Any, positions: Any, trie: Any, bits: Any, scratch: Any) -> Any:
    """Walk from `node` along a text from each of `positions`: tokens that quote it, and tokens that close the quote.

    scratch is (mark, ids, exits); gaps [n+1]: bytes until the quote may end. Returns (number of ids, of exits, the
    largest gap after a token).
    """
    tree, child = trie
    mark, ids, exits = scratch
    num_ids, num_exits, tail = 0, 0, 0
    for k in range(len(positions)):
        here, at = node, positions[k]
        while True:
            if may_end[at]:
                close = find_child(here, 34, tree, child)
                if close > 0:
                    if tree[close, 1] >= 0:
                        num_ids = add_token(tree[close, 1], bits, ids, num_ids)
                    if tree[close, 2] > close + 1 and not mark[close]:
                        mark[close] = 1
                        exits[0, num_exits], exits[1, num_exits] = close, 0
                        num_exits += 1
            if at >= len(text):
                break
            here = find_child(here, text[at], tree, child)
            if here <= 0:
                break
            at += 1
            if tree[here, 1] >= 0:
                num_ids = add_token(tree[here, 1], bits, ids, num_ids)
                tail = max(tail, gaps[at])
    for k in range(num_exits):
        mark[exits[0, k]] = 0
    return num_ids, num_exits, tail


def fewest_tokens(data: Any, trie: Any, counts: Any, tokens: Any) -> Any:
    """Write `data` with the fewest tokens, found from its end: counts[i] of them for data[i:], tokens[i] the first.

    counts [n+1], tokens [n]. FAR where no tokens spell it. Returns counts[0].
    """
    tree, child = trie
    counts[len(data)] = 0
    for start in range(len(data) - 1, -1, -1):
        counts[start], tokens[start] = FAR, -1
        node, at = 0, start
        while at < len(data):
            node = find_child(node, data[at], tree, child)
            if node <= 0:
                break
            at += 1
            if tree[node, 1] >= 0 and counts[at] + 1 <= counts[start]:
                counts[start], tokens[start] = counts[at] + 1, tree[node, 1]
    return counts[0]


def merge_ids(parts: Any, base: Any, removed: Any, bits: Any, gone: Any, ids: Any) -> Any:
    """Into `ids`: those of `parts`, each once, that `base` less `removed` does not hold. Returns (their number, how
    many of `removed` the base does hold). bits and gone: masks that are empty, before and after."""
    num_ids, num_gone = 0, 0
    for k in range(len(removed)):
        word, bit = removed[k] >> 5, 1 << int(removed[k] & 31)
        if base[word] & bit and not gone[word] & bit:
            gone[word] |= bit
            num_gone += 1
    for k in range(len(parts)):
        word, bit = parts[k] >> 5, 1 << int(parts[k] & 31)
        if (base[word] & bit and not gone[word] & bit) or bits[word] & bit:
            continue
        bits[word] |= bit
        ids[num_ids] = parts[k]
        num_ids += 1
    for k in range(num_ids):
        bits[ids[k] >> 5] = 0
    for k in range(len(removed)):
        gone[removed[k] >> 5] = 0
    return num_ids, num_gone


def fill_row(base: Any, removed: Any, ids: Any, row: Any) -> Any:
    """Write a mask: `base` less `removed`, and `ids`; what of `row` is beyond the base becomes 0."""
    num_words = len(base)
    for w in range(num_words):  # numba copies a slice at a quarter of this speed
        row[w] = base[w]
    for w in range(num_words, len(row)):
        row[w] = 0
    for k in range(len(removed)):
        word, bit = removed[k] >> 5, 1 << int(removed[k] & 31)
        if row[word] & bit:
            row[word] ^= bit
    for k in range(len(ids)):
        row[ids[k] >> 5] |= 1 << int(ids[k] & 31)


def fill_rows(
    pool: Any, slots: Any, removed: Any, removed_ends: Any, ids: Any, ids_ends: Any, rows: Any, out: Any
) -> Any:
    """`fill_row` for out[rows[k]], from pool[slots[k]] and the parts of removed and ids that end at their ends[k]."""
    for k in range(len(slots)):
        first, begin = (removed_ends[k - 1], ids_ends[k - 1]) if k else (0, 0)
        fill_row(pool[slots[k]], removed[first : removed_ends[k]], ids[begin : ids_ends[k]], out[rows[k]])


def clear_ids(bits: Any, ids: Any, num_ids: Any) -> Any:
    """Clear the words that hold `ids[:num_ids]`."""
    for k in range(num_ids):
        bits[ids[k] >> 5] = 0
