"""Token counts as OpenAI's protocol tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from radixgen.engine import Usage


def usage_of(usage: Usage) -> dict[str, Any]:
    """`forced_tokens`: ids that the constraint wrote without asking the model."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"forced_tokens": usage.forced_tokens},
    }


NOTHING = Usage()


def add_usage(usages: Sequence[Usage]) -> Usage:
    """The counts of several requests; times are not added."""
    names = ("prompt_tokens", "cached_tokens", "completion_tokens", "forced_tokens", "truncated_chars")
    return Usage(**{name: sum(getattr(one, name) for one in usages) for name in names})
