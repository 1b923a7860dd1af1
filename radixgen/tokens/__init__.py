"""tokens: text <-> token ids, and what an id stands for in bytes.

    caller's parts ──Tokenizer.render──► ids ...   model   ... ids ──Detokenizer──► text ──StopStrings──► text to show
                                                     ▲
                                     masks ──────────┘ made from Vocabulary.token_bytes and its Trie

Vocabulary and Trie are plain data; nothing behind them knows of a tokenizer library. A character is never cut in two,
on the way in (documents are cut at whole characters) or out. A special token is one only where the template's author
wrote it. Imports nothing of radixgen but `errors` and `params`, and no torch.
"""

from radixgen.tokens.detokenize import Detokenizer
from radixgen.tokens.fit import RenderedPrompt
from radixgen.tokens.stops import StopState, StopStrings
from radixgen.tokens.tokenizer import Tokenizer
from radixgen.tokens.trie import Trie, build_trie
from radixgen.tokens.vocabulary import Vocabulary, read_vocabulary

__all__ = [
    "Detokenizer",
    "RenderedPrompt",
    "StopState",
    "StopStrings",
    "Tokenizer",
    "Trie",
    "Vocabulary",
    "build_trie",
    "read_vocabulary",
]
