"""How much a tenant may ask at once and in a minute.

Rates are buckets that fill evenly: a minute's worth may be spent at once, then it comes back drop by drop. Tokens are
charged when an answer has ended, so a bucket may go below empty; the next request waits until it is not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from radixgen.errors import Overloaded
from radixgen.server.keys import Tenant
from radixgen.server.problems import Problem

MINUTE_S = 60.0
_ROUNDING = 1e-9


class Bucket:
    """`per_minute` 0 is no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._size, self._clock = float(per_minute), clock
        self._level, self._at = float(per_minute), clock()

    def wait_s(self) -> float:
        """Seconds until one may be taken."""
        if not self._size:
            return 0.0
        now = self._clock()
        self._level = min(self._size, self._level + (now - self._at) * self._size / MINUTE_S)
        self._at = now
        missing = 1.0 - self._level
        return missing * MINUTE_S / self._size if missing > _ROUNDING else 0.0

    def take(self, amount: float) -> None:
        if self._size:
            self._level -= amount


class _Account:
    def __init__(self, tenant: Tenant, clock: Callable[[], float]) -> None:
        self.num_open = 0
        self.requests = Bucket(tenant.requests_per_minute, clock)
        self.tokens = Bucket(tenant.tokens_per_minute, clock)


class Limits:
    """The accounts of all tenants, and the bound that they share."""

    def __init__(self, max_queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_queue, self._clock = max_queue, clock
        self._accounts: dict[str, _Account] = {}
        self.num_open = 0
        """Answers that are being written."""

    @contextmanager
    def admitted(self, tenant: Tenant, num_answers: int) -> Iterator[None]:
        """One request for `num_answers` answers, for as long as it is open.

        Raises:
            Overloaded: over a limit for now; `retry_after_s` says when to come again.
            Problem: for more answers than ever fit.
        """
        account = self._account(tenant)
        self._check(tenant, account, num_answers)
        account.requests.take(1)
        account.num_open += num_answers
        self.num_open += num_answers
        try:
            yield
        finally:
            account.num_open -= num_answers
            self.num_open -= num_answers

    def charge(self, tenant: Tenant, num_tokens: int) -> None:
        """Take the tokens of an answer from the tenant's minute."""
        self._account(tenant).tokens.take(num_tokens)

    def tokens_wait_s(self, tenant: Tenant) -> float:
        """Seconds until the tenant has tokens again: what a batch waits for."""
        return self._account(tenant).tokens.wait_s()

    def _account(self, tenant: Tenant) -> _Account:
        if tenant.name not in self._accounts:
            self._accounts[tenant.name] = _Account(tenant, self._clock)
        return self._accounts[tenant.name]

    def _check(self, tenant: Tenant, account: _Account, num_answers: int) -> None:
        own = tenant.max_concurrency or self._max_queue
        most = min(own, self._max_queue)
        if num_answers > most:
            raise Problem(f"{num_answers} answers are asked for in one request; {most} is the most at once")
        if self.num_open + num_answers > self._max_queue:
            raise Overloaded(f"{self._max_queue} answers is the most that is written at once (max_queue); come again")
        if account.num_open + num_answers > own:
            raise Overloaded(f"{own} answers at once is your limit (max_concurrency); wait for one to end")
        wait_s = max(account.requests.wait_s(), account.tokens.wait_s())
        if wait_s > 0:
            raise Overloaded(f"your limit per minute is spent; try again in {math.ceil(wait_s)} s", math.ceil(wait_s))
