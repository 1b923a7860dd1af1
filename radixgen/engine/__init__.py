"""The caller's side, thin: no model, no tokenizer, no torch.

    Engine ── Client: open requests by number ── Link ─┬─ SocketLink ~~wire~~► a worker process (its own, or `connect=`)
      │                                                └─ LocalLink: the worker's core on a thread (`in_process=True`)
      └─ WorkerProcess: starts the worker, ends it with itself

The same messages go through either link, so behaviour is the same. Every open request ends exactly once: by its `End`
or `Failed`, or by `WorkerDied` when the link is lost. Only `local.py` imports the worker, when it is asked for.
"""

from radixgen.engine.completion import Completion, Output, StreamDelta, Usage
from radixgen.engine.engine import Engine
from radixgen.engine.pending import AsyncStream, Pending, Stream
from radixgen.wire.messages import ScoredRow

__all__ = ["AsyncStream", "Completion", "Engine", "Output", "Pending", "ScoredRow", "Stream", "StreamDelta", "Usage"]
