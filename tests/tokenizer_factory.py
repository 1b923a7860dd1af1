"""Small tokenizers made on the spot, in the layout of a checkpoint folder.

`make_bpe_folder` writes byte-level BPE in three pre-tokenizer styles, `make_sentencepiece_folder` BPE with byte
fallback. Both write tokenizer.json, tokenizer_config.json with a ChatML template, and generation_config.json.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Literal

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

START, END, BEGIN = "<|im_start|>", "<|im_end|>", "<|endoftext|>"

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

LLAMA_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""Llama 3's."""
BUILTIN_SPLIT = r"\p{L}+|\d|\s|[^\s\p{L}\d]"
"""The built-in extractor's: white space, digits and punctuation are one token each."""

Style = Literal["llama", "gpt2", "split"]

_PROSE = (
    "the invoice number from vendor Acme Corp total amount due date please pay within thirty days thank you for your "
    "order customer name address street city phone email meeting room starts at ends with café naïve über straße "
    "priority low medium high null true false string integer items list record schema document field value"
)


def corpus(num_lines: int = 400, seed: int = 7) -> list[str]:
    """Lines of prose and of compact JSON; the same for the same arguments."""
    rng, words_of = random.Random(seed), _PROSE.split()
    lines = []
    for _ in range(num_lines):
        words = rng.choices(words_of, k=8)
        text_key, number_key, text = rng.choices(words_of, k=3)
        record = {text_key: text, number_key: rng.randint(0, 99_999), "due_date": None}
        lines.append(" ".join(words).capitalize() + ".\n  " + json.dumps(record, separators=(",", ":")))
    return lines


def make_bpe_folder(path: Path, vocab_size: int = 700, style: Style = "split", added: tuple[str, ...] = ()) -> Path:
    """A byte-level BPE tokenizer. `added` are texts that become added tokens that are not special."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _pre_tokenizer(style)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BEGIN, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in added])
    if style == "llama":
        begin = tokenizer.token_to_id(BEGIN)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN} $B", special_tokens=[(BEGIN, begin)]
        )
    return _write(path, tokenizer.to_str(), eos=tokenizer.token_to_id(END), bos=BEGIN)


def make_sentencepiece_folder(
    path: Path, vocab_size: int = 400, prefix: Literal["prepend", "first", "never"] = "prepend"
) -> Path:
    """SentencePiece-style BPE: `▁` for a space, `<0x0A>` for bytes that no piece holds.

    prefix: "prepend" is Llama 2's normalizer, "first" and "never" the Metaspace pre-tokenizer's schemes.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    specials = ["<unk>", "<s>", "</s>", START, END]
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    if prefix != "prepend":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prefix, split=False)
    else:
        tokenizer.pre_tokenizer = None
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    data = json.loads(tokenizer.to_str())
    data["model"]["byte_fallback"] = True
    old = data["model"]["vocab"]
    shifted = {piece: id_ if id_ < len(specials) else id_ + 256 for piece, id_ in old.items()}
    data["model"]["vocab"] = shifted | {f"<0x{byte:02X}>": len(specials) + byte for byte in range(256)}
    return _write(path, json.dumps(data), eos=2, bos="<s>")


def _pre_tokenizer(style: Style) -> pre_tokenizers.PreTokenizer:
    if style == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    split = Regex(LLAMA_SPLIT if style == "llama" else BUILTIN_SPLIT)
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(split, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _write(path: Path, tokenizer_json: str, *, eos: int, bos: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    eos_token = next(t["content"] for t in json.loads(tokenizer_json)["added_tokens"] if t["id"] == eos)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos_token}
    config["chat_template"] = CHATML
    (path / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}), encoding="utf-8")
    return path
