"""One engine for other services: OpenAI-compatible HTTP, its own page, metrics.

    request ──► logs.py, gate.py: id, key, tenant, bound ──► types.py, constraints.py (what may be asked)
                                                                       │
                                                        asking.py, formats/: prompt, options, constraint
                                                                       │
    client ◄── events.py (SSE), body.py (JSON) ◄── chat.py, ... ◄── service.py ◄──► Engine

Invariants: a parameter is honoured, listed as one that changes nothing here (`base.Ignored`), or refused by name; an
answer cut by its limit is valid for its schema and says so; a client that leaves is aborted; an error has OpenAI's
shape and no traceback; a path is for admins unless `gate` lists it. Imports engine, jobs and mask (for `check`);
nothing of torch.
"""

from __future__ import annotations

from radixgen.server.app import make_app
from radixgen.server.service import Service

__all__ = ["Service", "make_app"]
