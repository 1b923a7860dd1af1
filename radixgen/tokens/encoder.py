"""Runs of plain text to ids: the tokenizers library behind two verbs.

No special token is ever recognised here (`encode_special_tokens`); whoever has the right to special tokens splits them
off before (`special.py`). A run is what stands between two special tokens, which is how the library itself cuts a text,
so ids are the same as from a text encoded whole. Other threads run meanwhile.

Metaspace with `prepend_scheme: first` sets its mark before the first run of a text only; such a tokenizer exists twice
here, the second with the scheme "never", for runs that come later.
"""

from __future__ import annotations

import json
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as Backend

from radixgen.errors import ModelError
from radixgen.tokens.folder import TokenizerFile, flat

Int32 = npt.NDArray[np.int32]

_MEMO_ENTRIES = 512
_MEMO_CHARS = 16_384
"""Runs up to this long are remembered: instructions and template text come again with every request of a batch."""


class Located(NamedTuple):
    """The n ids of a run and where each begins in its text, in characters."""

    ids: Int32
    starts: Int32


class RunEncoder:
    """Encodes runs of plain text. Thread-safe."""

    def __init__(self, source: str, file: TokenizerFile) -> None:
        """source: tokenizer.json as text, of which `file` is the decoded part."""
        self.backend = _backend(source)
        self._later = self.backend
        if any(step.get("prepend_scheme") == "first" for step in flat(file.pre_tokenizer)):
            self._later = _backend(_without_prefix(source))
        self._memo = lru_cache(_MEMO_ENTRIES)(self._encode)
        self._source = source

    def ids(self, text: str, *, is_first: bool) -> Int32:
        """[n] ids, read-only. is_first: the run begins a text, no special token stands before it."""
        return self._memo(text, is_first) if len(text) <= _MEMO_CHARS else self._encode(text, is_first)

    def located(self, text: str, *, is_first: bool) -> Located:
        """The same ids, and where they begin."""
        encoding = (self.backend if is_first else self._later).encode_batch([text], add_special_tokens=False)[0]
        return Located(np.array(encoding.ids, np.int32), np.array(encoding.offsets, np.int32).reshape(-1, 2)[:, 0])

    def continuation_ids(self, text: str) -> Int32:
        """[n] ids of a text that goes on from another, so without any mark of a beginning."""
        return np.array(self._continuing.encode_batch_fast([text], add_special_tokens=False)[0].ids, np.int32)

    @cached_property
    def _continuing(self) -> Backend:
        return _backend(_without_any_prefix(self._source))

    def prefix_ids(self) -> tuple[int, ...]:
        """What the post-processor sets before a text, such as a beginning-of-text token."""
        encoding = self.backend.encode("a", add_special_tokens=True)
        num_added = encoding.special_tokens_mask.index(0) if 0 in encoding.special_tokens_mask else 0
        return tuple(encoding.ids[:num_added])

    def _encode(self, text: str, is_first: bool) -> Int32:
        backend = self.backend if is_first else self._later
        # of the library's verbs only those for batches let go of the interpreter's lock
        ids = np.array(backend.encode_batch_fast([text], add_special_tokens=False)[0].ids, np.int32)
        ids.flags.writeable = False
        return ids


def _backend(source: str) -> Backend:
    try:
        backend = Backend.from_str(source)
    except Exception as error:  # the library raises bare Exception
        raise ModelError(f"tokenizer.json: the tokenizers library refuses it: {error}") from None
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    return backend


def _without_prefix(source: str) -> str:
    data: dict[str, Any] = json.loads(source)
    for step in flat(data["pre_tokenizer"]):
        if step.get("prepend_scheme") == "first":
            step["prepend_scheme"] = "never"
    return json.dumps(data)


def _without_any_prefix(source: str) -> str:
    data: dict[str, Any] = json.loads(source)
    for step in flat(data["pre_tokenizer"]):
        if step["type"] == "Metaspace":
            step.pop("add_prefix_space", None)  # how older files say it
            step["prepend_scheme"] = "never"
        elif "add_prefix_space" in step:
            step["add_prefix_space"] = False
    for step in flat(data["normalizer"]):
        if step["type"] == "Prepend":
            step["prepend"] = ""
    return json.dumps(data)
