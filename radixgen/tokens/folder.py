"""The files of a checkpoint folder that have to do with text, read and checked; nothing else in tokens opens a file.

Only the fields that are needed are decoded (a 15 MB tokenizer.json is mostly merges, which are skipped), and whatever
is wrong with a file is a `ModelError` that names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from radixgen.errors import ModelError

T = TypeVar("T")


class AddedToken(msgspec.Struct, frozen=True):
    """One entry of tokenizer.json's `added_tokens`."""

    id: int
    content: str
    special: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False


class _Model(msgspec.Struct):
    type: str | None = None
    vocab: msgspec.Raw = msgspec.Raw(b"{}")
    byte_fallback: bool = False
    merges: msgspec.Raw = msgspec.Raw()


class TokenizerFile(msgspec.Struct):
    """tokenizer.json, less what only the tokenizers library needs."""

    model: _Model
    added_tokens: list[AddedToken] = []
    normalizer: Any = None
    pre_tokenizer: Any = None
    decoder: Any = None

    @property
    def kind(self) -> str:
        """The model's name; files older than the field are told by their parts."""
        if self.model.type is not None:
            return self.model.type
        return "BPE" if bytes(self.model.merges) else "WordPiece"

    @property
    def is_byte_level(self) -> bool:
        return self.kind == "BPE" and any(
            part.get("type") == "ByteLevel" for part in (*flat(self.pre_tokenizer), *flat(self.decoder))
        )

    @property
    def has_byte_fallback(self) -> bool:
        return self.kind in ("BPE", "Unigram") and self.model.byte_fallback

    @property
    def space_mark(self) -> str:
        """What pieces write for a space."""
        marks = [part["replacement"] for part in flat(self.decoder) if part.get("type") == "Metaspace"]
        return marks[0] if marks else "▁"

    def pieces(self) -> dict[str, int]:
        """Piece -> id of the model's own vocabulary; Unigram lists its pieces in the order of their ids."""
        try:
            if self.kind == "Unigram":
                listed = msgspec.json.decode(self.model.vocab, type=list[tuple[str, float]])
                return {piece: token_id for token_id, (piece, _) in enumerate(listed)}
            return msgspec.json.decode(self.model.vocab, type=dict[str, int])
        except msgspec.MsgspecError as error:
            raise ModelError(f"tokenizer.json: model.vocab of this {self.kind} cannot be read: {error}") from None


class ChatFiles(NamedTuple):
    """What a chat template is and may refer to."""

    template: str | None
    special_tokens: dict[str, str]
    """bos_token, eos_token and so on, as text."""


def flat(part: Any) -> list[dict[str, Any]]:
    """A normalizer, pre-tokenizer or decoder as the list of its steps, nested sequences opened."""
    if not isinstance(part, dict):
        return []
    inner = part.get("normalizers") or part.get("pretokenizers") or part.get("decoders")
    return [step for one in inner for step in flat(one)] if part.get("type") == "Sequence" and inner else [part]


def read_text(path: Path) -> str:
    """A file's text; a `ModelError` when it is missing, unreadable or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ModelError(f"{path}: {reason}; the model's folder needs a readable {path.name}") from None


def read_tokenizer_file(folder: Path) -> TokenizerFile:
    """tokenizer.json of a checkpoint folder.

    Raises:
        ModelError: when it is missing or is no tokenizer.json.
    """
    path = folder / "tokenizer.json"
    if not path.exists():
        raise ModelError(
            f"{path}: there is none; radixgen reads fast tokenizers only. Convert with "
            "`transformers.AutoTokenizer.from_pretrained(...).save_pretrained(...)`"
        )
    return _decoded(path, read_text(path), TokenizerFile)


def read_eos_ids(folder: Path, file: TokenizerFile) -> tuple[int, ...]:
    """The ids that end an answer, from generation_config.json, else config.json, else tokenizer_config.json."""
    for name in ("generation_config.json", "config.json"):
        given = _optional(folder / name).get("eos_token_id")
        ids = [given] if isinstance(given, int) else given
        if isinstance(ids, list) and ids and all(isinstance(one, int) for one in ids):
            return tuple(dict.fromkeys(ids))
    content = token_text(_optional(folder / "tokenizer_config.json").get("eos_token"))
    return tuple(token.id for token in file.added_tokens if token.content == content)[:1]


def read_chat_files(folder: Path) -> ChatFiles:
    """The chat template (chat_template.jinja goes before tokenizer_config.json) and the special tokens it may name."""
    config = _optional(folder / "tokenizer_config.json")
    own = folder / "chat_template.jinja"
    template = read_text(own) if own.exists() else _template(config.get("chat_template"))
    named = _optional(folder / "special_tokens_map.json") | config
    texts = {name: token_text(value) for name, value in named.items() if name.endswith("_token")}
    return ChatFiles(template, {name: text for name, text in texts.items() if text is not None})


def token_text(value: Any) -> str | None:
    """The text of a token that a config gives as a string or as `{"content": ...}`."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _template(value: Any) -> str | None:
    """A template as text, or as a list of named ones, of which "default" counts."""
    if isinstance(value, list):
        named = {one.get("name"): one.get("template") for one in value if isinstance(one, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else None


def _optional(path: Path) -> dict[str, Any]:
    return _decoded(path, read_text(path), dict[str, Any]) if path.exists() else {}


def _decoded(path: Path, text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise ModelError(f"{path}: cannot be read: {error}; fetch the checkpoint again") from None
