"""The ground of all request bodies: what is unknown is refused, null is nothing, lists stop at their first error."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

T = TypeVar("T")
Many = Annotated[list[T], Field(fail_fast=True)]
"""A list of which the first wrong item is told, not a million of them."""
TokenId = Annotated[int, Field(ge=0, lt=2**31)]


class Strict(BaseModel):
    """Refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        """Clients send null for what they leave out."""
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class Ignored(Strict):
    """Accepted, and without effect here: they speak of OpenAI's own house, or are another server's hints."""

    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None
    prompt_cache_retention: Any = None
    prediction: Any = None
    verbosity: Any = None
    guided_decoding_backend: Any = None
    # Below: accepted at the one value that is true of every answer here.
    modalities: list[Literal["text"]] | None = None
    skip_special_tokens: Literal[True] = True
    spaces_between_special_tokens: Literal[True] = True
    include_stop_str_in_output: Literal[False] = False
    no_stop_trim: Literal[False] = False
    use_beam_search: Literal[False] = False
    min_tokens: Literal[0] = 0
