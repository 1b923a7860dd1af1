"""The built-in extractor: a checkpoint in Hugging Face layout beside this file, and where it lies.

    config.json  generation_config.json  model.safetensors (bfloat16)
    tokenizer.json  tokenizer_config.json  chat_template.jinja  README.md (the model card)

It is data. `examples/train_extractor` made it; nothing here is ever edited by hand but the card.
"""

from pathlib import Path


def path() -> Path:
    """The folder of the checkpoint, as any loader of checkpoints takes it."""
    return Path(__file__).resolve().parent
