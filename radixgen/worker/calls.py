"""The verbs that are answered at once: one function each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from radixgen.kvcache.prefix import PrefixCache
from radixgen.wire import messages
from radixgen.worker.cache_calls import answer_cache_verb
from radixgen.worker.prepare import Preparer

Snapshot = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Calls:
    """`meters` are the parts' own counters, by a prefix for their names."""

    preparer: Preparer
    cache: PrefixCache
    meters: Mapping[str, Callable[[], Mapping[str, float]]]

    def answer(self, verb: messages.Verb, snapshot: Snapshot) -> messages.Result:
        """Raises what the verb cannot be done for. `snapshot` tells of the caller, for `dump`."""
        match verb:
            case messages.Stats():
                return messages.StatsResult({**_requests(snapshot()), **self._values()})
            case messages.Tokenize():
                return messages.Tokenized(tuple(self.preparer.tokenize(verb.prompt).tolist()))
            case messages.Detokenize():
                return messages.Detokenized(self.preparer.detokenize(verb.ids), self.preparer.token_bytes(verb.ids))
            case messages.Dump():
                return messages.Dumped(json.dumps({**snapshot(), **self._values()}, indent=1))
            case messages.Score() | messages.Check() | messages.Requests():
                raise AssertionError(f"{type(verb).__name__} is answered elsewhere")
        return answer_cache_verb(self.cache, self.preparer, verb)

    def _values(self) -> dict[str, float]:
        """`<part>.<name>` of every part."""
        return {f"{part}.{name}": value for part, meter in self.meters.items() for name, value in meter().items()}


def _requests(told: Mapping[str, Any]) -> dict[str, float]:
    """Of a snapshot: what is open in the worker, and what of it the scheduler does not know yet."""
    return {
        "requests.num_open": told["open"],
        "requests.num_preparing": told["open"] - told["submitted"],
        "requests.num_clients": told["clients"],
    }
