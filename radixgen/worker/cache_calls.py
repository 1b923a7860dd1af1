"""The verbs of the prefix cache: its records, in the wire's words."""

from __future__ import annotations

from dataclasses import asdict

from radixgen.kvcache.prefix import PrefixCache
from radixgen.kvcache.stats import NodeView
from radixgen.params import Namespace
from radixgen.wire import cache as wire
from radixgen.worker.prepare import Preparer


def answer_cache_verb(cache: PrefixCache, preparer: Preparer, verb: wire.CacheVerb) -> wire.CacheResult:
    """Raises what the verb cannot be done for."""
    match verb:
        case wire.Flush(namespace=None):
            return wire.Flushed(cache.flush_all())
        case wire.Flush(namespace=str() | Namespace() as given):
            return wire.Flushed(cache.flush(Namespace.of(given)))
        case wire.Pin():
            key = preparer.tokenize(verb.prompt).tobytes()
            return wire.Pinned(cache.pin(Namespace.of(verb.namespace), key, verb.owner, verb.ttl_s))
        case wire.Unpin():
            return wire.Unpinned(cache.unpin(Namespace.of(verb.namespace), verb.owner))
        case wire.CacheStats():
            return _report(cache)
        case wire.CacheDump():
            return _dumped(cache, preparer, verb)
        case wire.CacheEvents():
            page = cache.read_events(verb.since)
            return wire.CacheEventPage(tuple(wire.CacheEvent(*event) for event in page.events), page.next)
    raise AssertionError(f"{type(verb).__name__} is not of the cache")


def _report(cache: PrefixCache) -> wire.CacheReport:
    stats = cache.stats()
    namespaces = tuple(wire.NamespaceReport(**asdict(one)) for one in stats.namespaces)
    return wire.CacheReport(**{**asdict(stats), "namespaces": namespaces})


def _dumped(cache: PrefixCache, preparer: Preparer, verb: wire.CacheDump) -> wire.CacheDumped:
    namespace = None if verb.namespace is None else Namespace.of(verb.namespace)
    dump = cache.dump(namespace, most=verb.most)
    return wire.CacheDumped(tuple(_node(view, preparer) for view in dump.nodes), dump.num_left_out)


def _node(view: NodeView, preparer: Preparer) -> wire.TreeNode:
    values = view._asdict()
    return wire.TreeNode(text=preparer.detokenize(values.pop("head")), **values)
