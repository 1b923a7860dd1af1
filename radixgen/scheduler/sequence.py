"""One row's worth of a request, and what its sequences have in common.

    ids     [ prompt .............. | forced, sampled ......... | being drawn ]
            0       num_computed ──►                   num_ids        length
    slots   [ the tree's | own .................. ]
            0     node.end         num_slots

Invariants while running: num_computed <= num_slots; the slots before `node.end` are the tree's, held by `node`; while
prefilling (`num_computed < publish_len`) all three are the same; the own ones are whole pages.
"""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import TYPE_CHECKING

import numpy as np

from radixgen.errors import RadixgenError
from radixgen.kvcache.node import Node, Private
from radixgen.params import Namespace
from radixgen.runner.plan import Int32
from radixgen.scheduler.drafts import Appetite, History
from radixgen.scheduler.ports import Matcher, StopChecker
from radixgen.scheduler.request import Request, Usage

if TYPE_CHECKING:
    from radixgen.scheduler.planner import Row


class Progress:
    """One request under way: what its sequences share, and its account."""

    __slots__ = (
        "arrival_s", "cached_tokens", "completion_tokens", "error", "first_s", "forced_tokens", "is_distrusted",
        "is_over", "is_private", "namespace", "prompt_key", "request", "sequences", "started_s",
    )  # fmt: skip

    def __init__(self, request: Request, arrival_s: float, *, is_private: bool) -> None:
        self.request = request
        self.is_private = is_private
        """Without a prefix cache a request is alone in a namespace, where its sequences still share the prompt."""
        self.namespace = Private(request.request_id) if is_private else Namespace.of(request.params.namespace)
        self.prompt_key = request.ids.tobytes()
        self.sequences: list[Sequence] = []
        """Those that have not ended."""
        self.arrival_s = arrival_s
        self.started_s: float | None = None
        self.first_s: float | None = None
        self.cached_tokens = 0
        self.completion_tokens = 0
        self.forced_tokens = 0
        self.error: RadixgenError | None = None
        """What it ends with as soon as nothing of it is in the air."""
        self.is_distrusted = False
        """What it computed is not to be used again."""
        self.is_over = False

    @property
    def is_suspect(self) -> bool:
        """It may be what a process died of, so its steps are its own."""
        return self.completion_tokens <= self.request.alone_until

    def usage(self, now: float) -> Usage:
        started = now if self.started_s is None else self.started_s
        first = now if self.first_s is None else self.first_s
        return Usage(
            prompt_tokens=len(self.request.ids),
            cached_tokens=min(self.cached_tokens, len(self.request.ids)),
            completion_tokens=self.completion_tokens,
            forced_tokens=self.forced_tokens,
            queue_s=started - self.arrival_s,
            prefill_s=max(0.0, first - started),
            decode_s=now - max(first, started),
        )


class Sequence:
    """One output of a request, or one continuation that is scored."""

    __slots__ = (
        "among", "appetite", "history", "ids", "is_drawing", "is_late", "is_open", "is_opened", "is_retracted",
        "is_unsettled", "key", "logprobs", "matcher", "node", "num_computed", "num_ids", "num_left",
        "num_output", "num_slots", "output", "progress", "publish_len", "row", "seed", "serial", "slots",
        "stops", "targets", "tops", "trusted_len", "was_ended",
    )  # fmt: skip

    def __init__(self, progress: Progress, output: int, serial: int, seed: int) -> None:
        self.progress = progress
        self.output = output
        """Its index among the request's outputs or continuations."""
        self.serial = serial
        self.seed = seed
        self.ids = progress.request.ids
        self.num_ids = len(self.ids)
        self.num_output = 0
        self.was_ended = False
        """What another worker had written of it is all of it."""
        self.num_left = progress.request.params.max_tokens
        """Ids it may still write."""
        self.slots: Int32 = np.empty(0, dtype=np.int32)
        self.num_computed = 0
        self.num_slots = 0
        """Ids that have a slot, the tree's included."""
        self.node: Node | None = None
        """What it holds in the tree; None while it waits."""
        self.key = progress.prompt_key
        """The ids up to `publish_len`, as the tree wants them."""
        self.publish_len = 0
        """Ids that are published as they are scheduled: all that is known when it is admitted, less those whose
        logits it needs and must compute itself."""
        self.trusted_len = 0
        """Ids whose slots other requests computed."""
        self.row: Row | None = None
        """Its part of the step that was launched last, until that has landed."""
        self.matcher: Matcher | None = None
        self.stops: StopChecker | None = None
        self.targets: Int32 | None = None
        """When scoring: the continuation."""
        self.among: tuple[Int32, ...] = ()
        self.logprobs: list[float] = []
        self.tops: list[tuple[tuple[int, float], ...]] = []
        self.appetite = Appetite()
        self.history = History()
        """As far as drafts have asked for it."""
        self.is_opened = False
        """The matcher has been asked what follows the prompt."""
        self.is_drawing = False
        """An id more is being drawn in a step that has not landed; it may be computed under the name of its draw."""
        self.is_late = False
        """Its next mask was not there in time."""
        self.is_unsettled = False
        """What is forced after its last id is not known yet."""
        self.is_retracted = False
        self.is_open = True

    @property
    def priority(self) -> int:
        return self.progress.request.params.priority

    @property
    def owner(self) -> str:
        return self.progress.request.owner

    @property
    def length(self) -> int:
        """Ids that it has, one that is being drawn included."""
        return self.num_ids + self.is_drawing

    @property
    def todo(self) -> int:
        """Ids that are not computed."""
        return self.num_ids + self.is_drawing - self.num_computed

    @property
    def is_prefilling(self) -> bool:
        return self.num_computed < self.publish_len

    @property
    def score_start(self) -> int:
        """When scoring: the position whose logits judge the first id of the continuation."""
        return len(self.progress.request.ids) - 1

    @property
    def is_cache_only(self) -> bool:
        """Nothing is sampled or scored: the prompt is to be computed, that is all."""
        return self.targets is None and self.progress.request.params.max_tokens == 0

    def score(self, continuation: Int32, among: tuple[Int32, ...] = ()) -> None:
        """Make it score `continuation`; the last id's own logits tell nothing, so it is not computed."""
        self.targets, self.among = continuation, among
        self.num_left = 0
        self.ids = np.concatenate([self.ids, continuation[:-1]]).astype(np.int32)
        self.num_ids = len(self.ids)

    def start(self, node: Node, page: int) -> None:
        """Begin, or begin again after a retraction, from nothing computed."""
        self.node = node
        self.num_computed = self.num_slots = self.trusted_len = 0
        self.logprobs = []
        if self.targets is not None:
            self.publish_len = self.score_start
        else:
            self.publish_len = self.num_ids - (not self.is_cache_only)
        self.publish_len -= self.publish_len % page
        if len(self.key) != 4 * self.publish_len:
            self.key = self.ids[: self.publish_len].tobytes()
        self.make_room(self.num_ids)

    def step_back(self) -> None:
        """Compute the last id again: its logits are gone, and nothing was drawn from them."""
        self.num_computed -= 1

    def name_draw(self, entry: int) -> None:
        """Its next id is entry `entry` of the runner's last draw; plans call it by that name until it is known."""
        self.make_room(self.num_ids + 1)
        self.ids[self.num_ids] = -1 - entry
        self.is_drawing = True

    def push(self, token_id: int) -> None:
        """One more id of output, not computed yet."""
        if self.num_ids >= len(self.ids):
            self.make_room(self.num_ids + 1)
        self.ids[self.num_ids] = token_id
        self.num_ids += 1
        self.num_output += 1
        self.num_left -= 1

    def append(self, ids: Seq[int]) -> None:
        """More output, not computed yet."""
        end = self.num_ids + len(ids)
        self.make_room(end)
        self.ids[self.num_ids : end] = ids
        self.num_ids = end
        self.num_output += len(ids)
        self.num_left -= len(ids)

    def make_room(self, length: int) -> None:
        """Buffers for at least `length` ids; grown by half, because a decode step should not copy."""
        if length > len(self.slots) or length > len(self.ids):
            capacity = length + length // 2 + 64
            known = self.ids[: self.length]  # the name of the id that is being drawn, too
            self.ids = np.concatenate([known, np.zeros(capacity - len(known), dtype=np.int32)])
            old = self.slots
            self.slots = np.zeros(capacity, dtype=np.int32)
            self.slots[: len(old)] = old
