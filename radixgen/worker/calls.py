"""The verbs that are answered at once: one function each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from radixgen.scheduler.scheduler import Scheduler
from radixgen.wire import messages
from radixgen.worker.prepare import Preparer

Snapshot = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Calls:
    """`meters` are the parts' own counters, by a prefix for their names."""

    preparer: Preparer
    scheduler: Scheduler
    meters: Mapping[str, Callable[[], Mapping[str, float]]]

    def answer(self, verb: messages.Verb, snapshot: Snapshot) -> messages.Result:
        """Raises what the verb cannot be done for. `snapshot` tells of the caller, for `dump`."""
        match verb:
            case messages.Stats():
                return messages.StatsResult(self._values())
            case messages.Flush():
                return messages.Flushed(self.scheduler.flush(verb.namespace))
            case messages.Tokenize():
                return messages.Tokenized(tuple(self.preparer.tokenize(verb.prompt).tolist()))
            case messages.Detokenize():
                return messages.Detokenized(self.preparer.detokenize(verb.ids))
            case messages.Dump():
                return messages.Dumped(json.dumps({**snapshot(), **self._values()}, indent=1))
        raise AssertionError(f"{type(verb).__name__} is answered elsewhere")

    def _values(self) -> dict[str, float]:
        """`<part>.<name>` of every part."""
        return {f"{part}.{name}": value for part, meter in self.meters.items() for name, value in meter().items()}
