"""What a checkpoint folder may look like, and how each way to be wrong is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_factory import make_checkpoint
from safetensors.torch import load_file, save_file

from radixgen.errors import ModelError
from radixgen.models.checkpoint import load_weights, resolve
from radixgen.models.config import ModelConfig, RopeConfig
from radixgen.models.weights import destinations

CPU = torch.device("cpu")


def load(folder: Path) -> dict[str, torch.Tensor]:
    config = ModelConfig.load(folder)
    weights = load_weights(folder, config, torch.float32, CPU)
    return {place.name: place.view for place in destinations(config, weights)}


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_tensors(folder: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_one_file_and_shards_hold_the_same_model(tmp_path: Path) -> None:
    whole = load(make_checkpoint(tmp_path / "whole"))
    sharded = make_checkpoint(tmp_path / "sharded", shard="60KB")
    assert len(list(sharded.glob("*.safetensors"))) > 2
    assert all(torch.equal(tensor, whole[name]) for name, tensor in load(sharded).items())


def test_a_bfloat16_file_is_widened(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, dtype="bfloat16")
    assert ModelConfig.load(folder).dtype == "bfloat16"
    assert all(tensor.dtype == torch.float32 for tensor in load(folder).values())


def test_a_tied_model_may_carry_its_head_twice(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "llama-tied")
    edit_tensors(folder, lambda all_: all_.update({"lm_head.weight": all_["model.embed_tokens.weight"].clone()}))
    assert load(folder)


def cut_in_half(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def write_garbage(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>not found</html>")


def replace_by_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def name_a_missing_shard(folder: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def name_a_shard_elsewhere(folder: Path) -> None:
    index = {"weight_map": {"model.norm.weight": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    "config is no JSON": (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
    "config is a list": (lambda folder: (folder / "config.json").write_text("[]"), "holds a list"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors"),
    "half a file": (cut_in_half, "damaged or not a safetensors file"),
    "not safetensors": (write_garbage, "damaged or not a safetensors file"),
    "pickled weights": (replace_by_pickle, "save_pretrained"),
    "missing shard": (name_a_missing_shard, "lacks shards.*model-00001-of-00002"),
    "shard outside": (name_a_shard_elsewhere, "lacks shards"),
    "index is no JSON": (lambda folder: (folder / "model.safetensors.index.json").write_text("x"), "shard index"),
    "missing tensor": (
        lambda folder: edit_tensors(folder, lambda all_: all_.pop("model.layers.1.mlp.up_proj.weight")),
        r"lacks model\.layers\.1\.mlp\.up_proj\.weight",
    ),
    "misshapen tensor": (
        lambda folder: edit_tensors(folder, lambda all_: all_.update({"model.norm.weight": torch.ones(63)})),
        r"model\.norm\.weight has shape \[63\].*\[64\]",
    ),
    "unexpected tensor": (
        lambda folder: edit_tensors(folder, lambda all_: all_.update({"model.extra": torch.ones(3)})),
        r"beyond what .* has, model\.extra",
    ),
    "more layers than tensors": (
        lambda folder: edit_config(folder, num_hidden_layers=4),
        r"lacks model\.layers\.3\..* and \d+ more",
    ),
    "fewer layers than tensors": (
        lambda folder: edit_config(folder, num_hidden_layers=2),
        r"beyond .*model\.layers\.2\.",
    ),
    "other architecture": (
        lambda folder: edit_config(folder, architectures=["GemmaForCausalLM"]),
        "GemmaForCausalLM is not supported; supported are LlamaForCausalLM",
    ),
    "other rope": (
        lambda folder: edit_config(folder, rope_parameters={"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}),
        "rope type 'yarn' is not supported",
    ),
    "other activation": (lambda folder: edit_config(folder, hidden_act="gelu"), "hidden_act 'gelu'"),
    "quantized": (lambda folder: edit_config(folder, quantization_config={"quant_method": "awq"}), "awq"),
    "count missing": (lambda folder: edit_config(folder, hidden_size=None), "hidden_size is None"),
    "count negative": (lambda folder: edit_config(folder, vocab_size=-1), "vocab_size is -1"),
    "heads do not divide": (lambda folder: edit_config(folder, num_key_value_heads=3), "do not divide"),
    "flag is text": (lambda folder: edit_config(folder, tie_word_embeddings="no"), "must be true or false"),
}


@pytest.mark.parametrize("name", list(DAMAGES))
def test_a_checkpoint_that_cannot_be_used_says_which_file_and_why(tmp_path: Path, name: str) -> None:
    damage, message = DAMAGES[name]
    folder = make_checkpoint(tmp_path)
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load(folder)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


BASE = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 100,
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 2048,
}
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 256,
}
READINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "head size from the width": ({}, {"head_dim": 16, "num_kv_heads": 4}),
    "head size given": ({"head_dim": 32}, {"head_dim": 32}),
    "old rope": ({"rope_theta": 5e5, "rope_scaling": None}, {"rope": RopeConfig(theta=5e5)}),
    "old linear rope": (
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        {"rope": RopeConfig(kind="linear", factor=2.0)},
    ),
    "old llama3 rope": (
        {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
        {"rope": RopeConfig("llama3", 5e5, 8.0, 1.0, 4.0, 256)},
    ),
    "new llama3 rope": (
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, **LLAMA3}},
        {"rope": RopeConfig("llama3", 5e5, 8.0, 1.0, 4.0, 256)},
    ),
    "a window is Mistral's": (
        {"architectures": ["MistralForCausalLM"], "sliding_window": 9},
        {"windows": (9, 9, 9, 9)},
    ),
    "Mistral without a word on it": ({"architectures": ["MistralForCausalLM"]}, {"windows": (4096,) * 4}),
    "Mistral without": ({"architectures": ["MistralForCausalLM"], "sliding_window": None}, {"windows": (0,) * 4}),
    "Qwen2 with its window off": (
        {"architectures": ["Qwen2ForCausalLM"], "sliding_window": 9, "use_sliding_window": False},
        {"windows": (0,) * 4, "has_qkv_bias": True, "has_out_bias": False},
    ),
    "Qwen2 with a window from some layer on": (
        {
            "architectures": ["Qwen2ForCausalLM"],
            "sliding_window": 9,
            "use_sliding_window": True,
            "max_window_layers": 3,
        },
        {"windows": (0, 0, 0, 9)},
    ),
    "Qwen3": ({"architectures": ["Qwen3ForCausalLM"]}, {"has_qk_norm": True, "head_dim": 128, "has_qkv_bias": False}),
    "old dtype": ({"torch_dtype": "bfloat16"}, {"dtype": "bfloat16"}),
    "half precision runs as bfloat16": ({"dtype": "float16"}, {"dtype": "bfloat16"}),
    "kind alone": ({"architectures": None, "model_type": "qwen2"}, {"family": "qwen2"}),
}


@pytest.mark.parametrize("name", list(READINGS))
def test_config_fields_old_and_new_are_read(tmp_path: Path, name: str) -> None:
    fields, wanted = READINGS[name]
    (tmp_path / "config.json").write_text(json.dumps(BASE | fields))
    config = ModelConfig.load(tmp_path)
    assert {key: getattr(config, key) for key in wanted} == wanted


def test_a_model_is_found_by_folder(tmp_path: Path) -> None:
    assert resolve(str(tmp_path)) == tmp_path


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("./nowhere", "no such folder"),
        ("/nowhere/at/all", "no such folder"),
        ("a b/c", "no hub id"),
    ],
)
def test_a_name_that_is_no_folder_and_no_hub_id_is_told_so(model: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        resolve(model)


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="is a file"):
        resolve(str(tmp_path / "model.gguf"))


def test_a_hub_id_is_fetched_without_pickles_after_the_cache_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    calls: list[bool] = []

    def fake(name: str, *, allow_patterns: list[str], local_files_only: bool = False) -> str:
        assert not any("bin" in pattern for pattern in allow_patterns)
        calls.append(local_files_only)
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
    assert resolve("owner/name") == tmp_path
    assert calls == [True, False]


def test_a_hub_that_cannot_be_reached_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def fake(name: str, **options: Any) -> str:
        raise LocalEntryNotFoundError("not cached") if options.get("local_files_only") else OSError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake)
    with pytest.raises(ModelError, match=r"owner/name: .*could not be fetched \(no route\)") as caught:
        resolve("owner/name")
    assert "\n" not in str(caught.value)
