"""The tree's invariants as assertions, node by node. Slow; `PrefixCache.check` runs them, tests call that."""

from __future__ import annotations

from collections import Counter

from radixgen.kvcache.events import BLOCK_LEN, HASH_BYTES
from radixgen.kvcache.node import ID_BYTES, Int32, Node, Root
from radixgen.kvcache.radix import RadixTree


def check_tree(tree: RadixTree, held: Counter[Node]) -> list[Int32]:
    """Assert shapes, locks, pending marks, order and sums, given who holds what; returns the slots of every node."""
    order = {node: place for place, node in enumerate(tree.locks.idle_nodes())}
    nodes = list(tree.nodes())
    for node in nodes:
        _check_shape(tree, node)
        _check_lock(node, held, order)
    for namespace, root in tree.roots.items():
        below = list(root.nodes_below())
        assert root.namespace == namespace, "a root stands under a wrong name"
        assert root.lock == 1 + held[root] + _held_children(root), "a root's lock is wrong"
        assert root.children or root.lock > 1, "an empty root was kept"
        assert root.num_tokens == sum(len(node.slots) for node in below), "num_tokens is not the sum over nodes"
        assert root.num_nodes == len(below), "num_nodes is wrong"
        assert all(node.root is root for node in below), "a node belongs to another root"
    assert tree.locks.num_idle == sum(len(node.slots) for node in order), "num_idle is not the sum over idle nodes"
    assert set(held) <= {*nodes, *tree.roots.values()}, "something is held that is not in the tree"
    return [node.slots for node in nodes]


def _check_shape(tree: RadixTree, node: Node) -> None:
    parent = node.parent
    assert parent is not None
    assert parent.children.get(node.key[: ID_BYTES * tree.page]) is node, "a child hangs under a wrong key"
    assert len(node.key) == ID_BYTES * len(node.slots) > 0, "key and slots differ in length"
    assert len(node.slots) % tree.page == 0, "a node holds part of a page"
    assert node.end == parent.end + len(node.slots), "an end is not the sum of the edges"
    assert not parent.epoch or node.epoch >= parent.epoch, "a node hangs below one that is computed later"
    num_told, num_blocks = len(node.told) // HASH_BYTES, node.end // BLOCK_LEN - node.start // BLOCK_LEN
    assert num_told <= num_blocks, "more blocks are told than there are"


def _check_lock(node: Node, held: Counter[Node], order: dict[Node, int]) -> None:
    parent = node.parent
    assert parent is not None
    assert node.lock == held[node] + _held_children(node), "a lock is not own holds plus held children"
    assert (node.lock == 0) == (node in order), "idle and unlocked are not the same nodes"
    if node.lock:
        assert parent.lock, "a held node hangs below an unlocked one"
    if not isinstance(parent, Root):
        assert node.rank <= parent.rank, "a node ranks above its parent"
        assert parent.lock or order[node] < order[parent], "a parent would go before its child"


def _held_children(node: Node) -> int:
    return sum(child.lock > 0 for child in node.children.values())
