"""Everything a model has to do with text, from its folder: the one door of this part.

    folder ──► TokenizerFile ──► Vocabulary (id -> bytes, trie)
                    │
                    ├──► RunEncoder ──► Fitter          text -> ids, cut to fit
                    ├──► SpecialTokens ─┐
                    ├──► ChatTemplate ──┴─► PromptLayout   parts -> pieces
                    └──► ForcedEncoder                  bytes that are certain -> ids that are certain

A Tokenizer holds no request's state and may be used from several threads; they run while it encodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radixgen.params import PromptPart
from radixgen.tokens.chat import ChatTemplate
from radixgen.tokens.encoder import RunEncoder
from radixgen.tokens.fit import Fitter, Given, Piece, Plain, RenderedPrompt
from radixgen.tokens.folder import read_chat_files, read_eos_ids, read_text, read_tokenizer_file
from radixgen.tokens.forced import ForcedEncoder
from radixgen.tokens.healing import TakenBack, take_back
from radixgen.tokens.prompt import PromptLayout
from radixgen.tokens.special import SpecialTokens
from radixgen.tokens.vocabulary import Vocabulary, read_vocabulary

Int32 = npt.NDArray[np.int32]


class _Parts(NamedTuple):
    vocabulary: Vocabulary
    encoder: RunEncoder
    specials: SpecialTokens
    layout: PromptLayout
    forced: ForcedEncoder


class Tokenizer:
    """One model's tokenizer and chat template."""

    def __init__(self, parts: _Parts) -> None:
        self.vocabulary = parts.vocabulary
        self._encoder = parts.encoder
        self._specials = parts.specials
        self._layout = parts.layout
        self._forced = parts.forced
        self._fitter = Fitter(parts.encoder, max(map(len, parts.vocabulary.token_bytes), default=1))

    @classmethod
    def load(cls, folder: Path) -> Tokenizer:
        """From tokenizer.json, and what stands beside it: tokenizer_config.json, generation_config.json, templates.

        Raises:
            ModelError: a file is missing or damaged, or the tokenizer is of a kind that has no bytes (WordPiece, ...).
        """
        file = read_tokenizer_file(folder)
        vocabulary = read_vocabulary(file, read_eos_ids(folder, file))
        encoder = RunEncoder(read_text(folder / "tokenizer.json"), file)
        specials = SpecialTokens(file.added_tokens)
        chat = read_chat_files(folder)
        template = ChatTemplate(chat.template, chat.special_tokens) if chat.template is not None else None
        layout = PromptLayout(specials, template, encoder.prefix_ids(), vocabulary.vocab_size)
        literals = tuple(token.content for token in file.added_tokens if not token.special and token.content)
        forced = ForcedEncoder(encoder.backend, vocabulary.token_bytes, literals)
        return cls(_Parts(vocabulary, encoder, specials, layout, forced))

    @property
    def template(self) -> str:
        """The chat template's source; empty without one."""
        return self._layout.template

    def encode(self, text: str, *, allow_special: bool = False) -> Int32:
        """[n] ids of a text, nothing set before or after it, read-only.

        allow_special: special tokens in the text count; only for text that we or the model's author wrote.
        """
        if not allow_special:
            return self._encoder.ids(text, is_first=True)
        pieces: list[Piece] = [
            Plain(piece) if isinstance(piece, str) else Given((piece,)) for piece in self._specials.split(text)
        ]
        return self._fitter.ids(pieces)

    def encode_continuation(self, text: str) -> Int32:
        """[n] ids of a text as it goes on from another: SentencePiece sets no `▁` before it."""
        return self._encoder.continuation_ids(text)

    def encode_forced(self, data: bytes, before: bytes = b"") -> Int32:
        """Ids of forced bytes as far as the tokenizer would certainly write them so; may be empty. See forced.py."""
        return self._forced.encode(data, before)

    def take_back(self, ids: Int32) -> TakenBack:
        """Which of a prompt's last ids the answer had better write anew. See healing.py."""
        return take_back(ids.tolist(), self.vocabulary.token_bytes, self._forced.borders)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; special ones have none, bytes that are no character become U+FFFD."""
        return self.vocabulary.text_bytes(ids).decode("utf-8", errors="replace")

    def render(self, parts: Sequence[PromptPart], max_len: int, *, truncate: bool = True) -> RenderedPrompt:
        """A prompt's ids, at most `max_len`; documents that may be cut are, at their end, if `truncate`.

        Raises:
            PromptTooLong: it does not fit, and nothing (more) may be cut.
            ParamError: an empty prompt, messages that the chat template refuses or that have none, ids out of range.
            ModelError: the chat template is at fault.
        """
        laid = self._layout.lay_out(parts)
        return self._fitter.fit(laid.pieces, laid.documents, max_len, truncate=truncate)
