"""A checkpoint's config.json as a frozen record of plain numbers.

Whatever this file cannot follow exactly (an architecture, a rope type, an activation) is refused by name: a model that
runs a little wrong is worse than one that does not run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from radixgen.errors import ModelError

ARCHITECTURES: Mapping[str, str] = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}
ROPE_TYPES = ("default", "linear", "llama3")
DTYPES = ("float32", "bfloat16", "float16")
MAX_COUNT = 1 << 24
NO_WINDOW = 0


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary position embedding. `factor` and what follows it are unused by type 'default'."""

    kind: str = "default"
    theta: float = 10_000.0
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A Llama-shaped decoder. Query head h reads KV head h // (num_heads / num_kv_heads)."""

    family: str
    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    mlp_size: int
    norm_eps: float
    max_context: int
    rope: RopeConfig
    windows: tuple[int, ...]
    """A layer's sliding window in tokens, the query's own included; NO_WINDOW for full attention."""
    is_tied: bool
    has_qkv_bias: bool
    has_out_bias: bool
    has_mlp_bias: bool
    has_qk_norm: bool
    dtype: str

    @property
    def query_size(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def kv_size(self) -> int:
        return self.num_kv_heads * self.head_dim

    @classmethod
    def load(cls, folder: Path) -> ModelConfig:
        """Read `folder`/config.json.

        Raises:
            ModelError: naming the file and the field, when it is missing, damaged or of a kind that is not supported.
        """
        path = folder / "config.json"
        return _Reader(path, _read_json(path)).model()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path.parent}: no config.json; give a folder in Hugging Face layout") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(data, dict):
        raise ModelError(f"{path}: holds a {type(data).__name__}, not an object")
    return data


class _Reader:
    """Typed access to one config.json; every refusal names the file and the field."""

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self.path = path
        self.data = data

    def model(self) -> ModelConfig:
        family = self._family()
        self._check_fixed()
        num_heads, num_layers = self._count("num_attention_heads"), self._count("num_hidden_layers")
        hidden_size = self._count("hidden_size")
        has_attention_bias = family == "qwen2" or (family != "mistral" and self._flag("attention_bias"))
        config = ModelConfig(
            family=family,
            vocab_size=self._count("vocab_size"),
            hidden_size=hidden_size,
            num_layers=num_layers,
            num_heads=num_heads,
            num_kv_heads=self._count("num_key_value_heads", num_heads),
            head_dim=self._count("head_dim", 128 if family == "qwen3" else hidden_size // max(num_heads, 1)),
            mlp_size=self._count("intermediate_size"),
            norm_eps=self._number(self.data, "rms_norm_eps", 1e-6),
            max_context=self._count("max_position_embeddings"),
            rope=self._rope(),
            windows=self._windows(family, num_layers),
            is_tied=self._flag("tie_word_embeddings"),
            has_qkv_bias=has_attention_bias,
            has_out_bias=has_attention_bias and family != "qwen2",
            has_mlp_bias=family == "llama" and self._flag("mlp_bias"),
            has_qk_norm=family == "qwen3",
            dtype=self._dtype(),
        )
        return self._checked(config)

    def _family(self) -> str:
        names = self.data.get("architectures") or []
        for name in names:
            if name in ARCHITECTURES:
                return ARCHITECTURES[name]
        if not names and self.data.get("model_type") in ARCHITECTURES.values():
            return str(self.data["model_type"])
        found = ", ".join(map(str, names)) or str(self.data.get("model_type"))
        self._refuse(f"architecture {found} is not supported; supported are {', '.join(ARCHITECTURES)}")

    def _check_fixed(self) -> None:
        activation = self.data.get("hidden_act", "silu")
        if activation not in ("silu", "swish"):
            self._refuse(f"hidden_act {activation!r} is not supported; only 'silu' is")
        if self.data.get("quantization_config"):
            method = self.data["quantization_config"].get("quant_method", "unknown")
            self._refuse(f"quantized weights ({method}) are not supported; use the float32 or bfloat16 checkpoint")

    def _rope(self) -> RopeConfig:
        # transformers 5 writes `rope_parameters`; older files have `rope_theta` and, when scaled, `rope_scaling`.
        table = self.data.get("rope_parameters") or self.data.get("rope_scaling") or {}
        if not isinstance(table, dict):
            self._refuse("rope_parameters is not an object")
        kind = table.get("rope_type", table.get("type", "default"))
        if kind not in ROPE_TYPES:
            self._refuse(f"rope type {kind!r} is not supported; supported are {', '.join(ROPE_TYPES)}")
        if table.get("partial_rotary_factor", self.data.get("partial_rotary_factor", 1.0)) != 1.0:
            self._refuse("partial_rotary_factor other than 1 is not supported")
        theta = self._number(table, "rope_theta", self._number(self.data, "rope_theta", 10_000.0))
        if kind == "default":
            return RopeConfig(theta=theta)
        factor = self._number(table, "factor", None)
        if kind == "linear":
            return RopeConfig(kind="linear", theta=theta, factor=factor)
        return RopeConfig(
            kind="llama3",
            theta=theta,
            factor=factor,
            low_freq_factor=self._number(table, "low_freq_factor", None),
            high_freq_factor=self._number(table, "high_freq_factor", None),
            original_context=int(self._number(table, "original_max_position_embeddings", None)),
        )

    def _windows(self, family: str, num_layers: int) -> tuple[int, ...]:
        # transformers' MistralConfig takes 4096 where the file says nothing; an explicit null means full attention
        size = self.data.get("sliding_window", 4096 if family == "mistral" else None)
        if family == "llama" or size is None or (family != "mistral" and not self._flag("use_sliding_window")):
            return (NO_WINDOW,) * num_layers
        window = self._count("sliding_window", size)
        if family == "mistral":
            return (window,) * num_layers
        kinds = self.data.get("layer_types")
        if isinstance(kinds, list) and len(kinds) == num_layers:
            return tuple(window if kind == "sliding_attention" else NO_WINDOW for kind in kinds)
        first = self._count("max_window_layers", 28, least=0)
        return tuple(window if layer >= first else NO_WINDOW for layer in range(num_layers))

    def _dtype(self) -> str:
        name = self.data.get("dtype") or self.data.get("torch_dtype") or "float32"
        if name not in DTYPES:
            self._refuse(f"dtype {name!r} is not supported; supported are {', '.join(DTYPES)}")
        return "bfloat16" if name == "float16" else str(name)

    def _checked(self, config: ModelConfig) -> ModelConfig:
        if config.num_heads % config.num_kv_heads:
            self._refuse(f"{config.num_heads} attention heads do not divide into {config.num_kv_heads} key-value heads")
        if config.head_dim % 2:
            self._refuse(f"head_dim is {config.head_dim}; rotary embeddings need an even one")
        return config

    def _count(self, name: str, default: int | None = None, *, least: int = 1) -> int:
        value = self.data.get(name)
        value = default if value is None else value
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_COUNT:
            self._refuse(f"{name} is {value!r}; it must be a whole number of at least {least}")
        return value

    def _number(self, table: Mapping[str, Any], name: str, default: float | None) -> float:
        value = table.get(name)
        value = default if value is None else value
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            self._refuse(f"{name} is {value!r}; it must be a number above 0")
        return float(value)

    def _flag(self, name: str) -> bool:
        value = self.data.get(name, False)
        if not isinstance(value, bool):
            self._refuse(f"{name} is {value!r}; it must be true or false")
        return value

    def _refuse(self, what: str) -> NoReturn:
        raise ModelError(f"{self.path}: {what}")
