"""Byte-level BPE in which white space, digits and punctuation are tokens of their own.

A word therefore has the same ids after a space in the document and after a quote in the answer: copying a value
is copying ids, and text that a grammar forces is always what the tokenizer would have written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .prompt import ANSWER, DEFAULT_INSTRUCTIONS, DOCUMENT, END, SPECIALS, START

VOCAB_SIZE = 4096
PATTERN = r"\p{L}+|\d|\s|[^\s\p{L}\d]"
CONTEXT_LEN = 4096

CHAT_TEMPLATE = (
    "{%- set default = '" + DEFAULT_INSTRUCTIONS + "' -%}\n"
    "{%- set parts = ('\\n\\n' + messages[0]['content']).split('\\n\\nFields:\\n') -%}\n"
    "{%- if messages[0]['role'] == 'system' and parts|length > 1 -%}\n"
    "    {%- set instructions = (parts[:-1]|join('\\n\\nFields:\\n'))[2:] -%}\n"
    "    {%- if instructions and instructions != default -%}{{ instructions + '\\n' }}{%- endif -%}\n"
    "    {{- '" + START + "' + parts[-1] + '" + DOCUMENT + "' -}}\n"
    "    {%- for message in messages[1:] -%}{{ message['content'] }}{%- endfor -%}\n"
    "{%- else -%}\n"
    "    {%- for message in messages -%}\n"
    "        {{- message['content'] -}}{%- if not loop.last -%}{{ '\\n' }}{%- endif -%}\n"
    "    {%- endfor -%}\n"
    "{%- endif -%}\n"
    "{{- '" + ANSWER + "' -}}\n"
)


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Learn merges from texts; ids 0 to 3 are the special tokens in the order of `SPECIALS`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the three tokenizer files of the Hugging Face layout."""
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT_LEN,
        "eos_token": END,
        "pad_token": END,
        "additional_special_tokens": [START, DOCUMENT, ANSWER],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
