"""What may be asked over HTTP, in OpenAI's words and those of SGLang and vLLM. Anything else is refused by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from radixgen.server.base import Ignored, Many, Strict, TokenId
from radixgen.server.constraints import Constraints, ObjectFormat, Schema, TextFormat

MOST_ANSWERS = 64
"""To one prompt."""
Bias = Annotated[float, Field(ge=-100, le=100)]
Priority = Annotated[int, Field(ge=-1000, le=1000)]
Salt = Annotated[str, Field(max_length=256)]


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = False


class Sampling(Constraints):
    """What both kinds of completion share."""

    model: str = ""
    temperature: float = Field(default=1.0, ge=0, le=10)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=-1, ge=-1, le=1_000_000)
    min_p: float = Field(default=0.0, ge=0, le=1)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    repetition_penalty: float = Field(default=1.0, ge=0.01, le=10)
    logit_bias: dict[TokenId, Bias] = Field(default={}, max_length=1024)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | Annotated[Many[str], Field(max_length=16)] = Field(default=[])
    n: int = Field(default=1, ge=1, le=MOST_ANSWERS)
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    ignore_eos: bool = False
    priority: Priority = 0
    cache_salt: Salt = ""


class Part(BaseModel):
    """A piece of a message's content; only text is read here."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["text"]
    text: str


class CalledFunction(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: str
    arguments: str | dict[str, Any] = "{}"


class ToolCall(BaseModel):
    """A call that an assistant made before."""

    model_config = ConfigDict(extra="ignore")
    id: str = ""
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(BaseModel):
    """One turn. Of an assistant's, tool calls too; of a tool's, the call it answers."""

    model_config = ConfigDict(extra="ignore")
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Many[Part] | None = None
    name: str | None = None
    tool_calls: Many[ToolCall] | None = None
    tool_call_id: str | None = None
    reasoning_content: str | None = None


ToolName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


class Function(Strict):
    name: ToolName
    description: str | None = None
    parameters: Schema = True
    strict: bool = False


class Tool(Strict):
    type: Literal["function"]
    function: Function


class ChosenFunction(Strict):
    name: str


class ChosenTool(Strict):
    type: Literal["function"] = "function"
    function: ChosenFunction


class AllowedTools(Strict):
    mode: Literal["auto", "required"]
    tools: Annotated[Many[ChosenTool], Field(min_length=1)]


class AllowedChoice(Strict):
    """OpenAI's way to let some of the tools be called."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


class ChatRequest(Sampling):
    """`POST /v1/chat/completions`."""

    messages: Annotated[Many[ChatMessage], Field(min_length=1)]
    max_tokens: int | None = Field(default=None, ge=0, le=1_000_000)
    max_completion_tokens: int | None = Field(default=None, ge=0, le=1_000_000)
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    tools: Annotated[Many[Tool], Field(max_length=128)] = Field(default=[])
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | AllowedChoice = "auto"
    parallel_tool_calls: bool = True
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    enable_thinking: bool | None = None
    thinking_budget: int | None = Field(default=None, ge=1, le=1_000_000)
    chat_template_kwargs: dict[str, Any] = Field(default={})
    separate_reasoning: Literal[True] = True
    add_generation_prompt: Literal[True] = True
    continue_final_message: Literal[False] = False


class CompletionRequest(Sampling):
    """`POST /v1/completions`."""

    prompt: str | Many[str] | Many[TokenId] | Many[Many[TokenId]]
    max_tokens: int = Field(default=16, ge=0, le=1_000_000)
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool = False
    best_of: int | None = Field(default=None, ge=1)
    suffix: Literal[""] = ""


class InputPart(BaseModel):
    """A piece of an item's content; only text is read here."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["input_text", "output_text", "text"]
    text: str


class InputItem(BaseModel):
    """One turn of a response's input."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Many[InputPart]


class FlatSchemaFormat(Strict):
    """`json_schema` as responses have it: what chat nests stands beside the type."""

    type: Literal["json_schema"]
    name: str = Field(max_length=64)
    description: str | None = None
    schema_: Schema = Field(alias="schema")
    strict: bool | None = None


class TextConfig(Strict):
    format: Annotated[TextFormat | ObjectFormat | FlatSchemaFormat, Field(discriminator="type")] = TextFormat(
        type="text"
    )
    verbosity: Any = None


class Reasoning(Strict):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    summary: Any = None


class ResponseRequest(Ignored):
    """`POST /v1/responses`. Fields with one value speak of what is chat's, or of what is not kept here."""

    model: str = ""
    input: str | Annotated[Many[InputItem], Field(min_length=1)]
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=0, le=1_000_000)
    temperature: float = Field(default=1.0, ge=0, le=10)
    top_p: float = Field(default=1.0, gt=0, le=1)
    text: TextConfig = TextConfig()
    reasoning: Reasoning = Reasoning()
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    background: Literal[False] = False
    truncation: Literal["disabled"] = "disabled"
    include: Annotated[list[str], Field(max_length=0)] = Field(default=[])
    tools: Annotated[list[Any], Field(max_length=0)] = Field(default=[])
    tool_choice: Literal["none", "auto"] = "auto"
    parallel_tool_calls: bool = True
    priority: Priority = 0
    cache_salt: Salt = ""
    enable_thinking: bool | None = None
    thinking_budget: int | None = Field(default=None, ge=1, le=1_000_000)


class TokenizeRequest(Strict):
    """`POST /tokenize`: a prompt, or a chat."""

    model: str = ""
    prompt: str | None = None
    messages: Annotated[Many[ChatMessage], Field(min_length=1)] | None = None


class DetokenizeRequest(Strict):
    """`POST /detokenize`."""

    model: str = ""
    tokens: Many[TokenId]
