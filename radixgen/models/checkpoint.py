"""From a model's name to a folder, and from a folder's safetensors files to parameters.

Tensors are streamed: one at a time is read, converted and copied into the view that `weights.destinations` gives for
its name. Every fault is one `ModelError` that names the file and the tensors. Pickled weights are never read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from radixgen.errors import ModelError
from radixgen.models.config import ModelConfig
from radixgen.models.weights import Weights, allocate, destinations

BUILTIN = "builtin"
HUB_FILES = ["*.safetensors", "*.json", "*.jinja"]
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
SINGLE_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"
# what exporters add and no forward reads
SPARE_TENSORS = re.compile(r"(model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq|model\.rotary_emb\.inv_freq)")
SHOWN_NAMES = 4


def resolve(model: str) -> Path:
    """The folder of a model: 'builtin', a path, or a hub id (from the local cache, else fetched).

    Raises:
        ModelError: when there is none, saying what was looked for.
    """
    if model == BUILTIN:
        # the package's own folder, by place: `radixgen.builtin` is a part above this one and may not be imported
        return _existing(Path(__file__).parents[1] / BUILTIN, model)
    path = Path(model).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ModelError(f"{model}: is a file; give the folder that holds config.json and the safetensors files")
    if model.startswith((".", "/", "~")) or not HUB_ID.fullmatch(model):
        raise ModelError(f"{model}: there is no such folder, and it is no hub id (owner/name)")
    return _from_hub(model)


def _existing(folder: Path, model: str) -> Path:
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"model {model!r}: {folder} holds no config.json; the installation is incomplete, reinstall radixgen"
        )
    return folder


def _from_hub(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        cached = Path(snapshot_download(model, allow_patterns=HUB_FILES, local_files_only=True))
        if (cached / "config.json").is_file() and any(cached.glob("*.safetensors")):
            return cached
    except LocalEntryNotFoundError:
        pass
    try:
        return Path(snapshot_download(model, allow_patterns=HUB_FILES))
    except Exception as error:  # the client raises many kinds, of several libraries: all mean that there is no model
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ModelError(
            f"{model}: no such folder here, not in the local hub cache, and it could not be fetched ({reason}); "
            "check the name and the connection, or give a folder in Hugging Face layout"
        ) from None


def load_weights(folder: Path, config: ModelConfig, dtype: torch.dtype, device: torch.device) -> Weights:
    """Parameters of the checkpoint in `folder`, converted to `dtype`.

    Raises:
        ModelError: no safetensors, a damaged file, or tensors that are missing, misshapen or unexpected (named).
    """
    files = weight_files(folder)
    weights = allocate(config, dtype, device)
    open_places = {place.name: place.view for place in destinations(config, weights)}
    unexpected: list[str] = []
    for file in files:
        unexpected += _read_file(file, open_places)
    if config.is_tied:
        unexpected = [name for name in unexpected if name != "lm_head.weight"]
    _report(folder, "lacks", open_places)
    _report(folder, f"holds, beyond what a {config.family} model of its config.json has,", unexpected)
    return weights


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint, one or all shards.

    Raises:
        ModelError: there are none (with what to do about pickled weights), or a shard is missing.
    """
    if (folder / INDEX_FILE).is_file():
        return _shards(folder / INDEX_FILE)
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    pickled = sorted(one.name for pattern in ("*.bin", "*.pt", "*.pth") for one in folder.glob(pattern))
    if pickled:
        raise ModelError(
            f"{folder}: the weights are pickled ({pickled[0]}), which can run code when read; convert them once with "
            "transformers: AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder)"
        )
    raise ModelError(f"{folder}: no {SINGLE_FILE} and no {INDEX_FILE}; give a folder with safetensors weights")


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{index}: cannot be read as a shard index: {type(error).__name__}: {error}") from None
    missing = [str(name) for name in names if Path(str(name)).name != name or not (index.parent / name).is_file()]
    _report(index.parent, f"lacks shards that {index.name} names:", missing)
    return [index.parent / name for name in names]


def _read_file(file: Path, open_places: dict[str, torch.Tensor]) -> list[str]:
    """Copy the file's tensors to their places and close these; returns the names that have none."""
    unexpected = []
    try:
        with safe_open(file, framework="pt", device="cpu") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - not a mapping
                if name in open_places:
                    _check_shape(file, name, tuple(tensors.get_slice(name).get_shape()), open_places[name])
                    open_places.pop(name).copy_(tensors.get_tensor(name))
                elif not SPARE_TENSORS.fullmatch(name):
                    unexpected.append(name)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{file}: damaged or not a safetensors file ({error}); fetch it again") from None
    return unexpected


def _check_shape(file: Path, name: str, found: tuple[int, ...], place: torch.Tensor) -> None:
    if found != tuple(place.shape):
        raise ModelError(f"{file}: {name} has shape {list(found)}, config.json asks for {list(place.shape)}")


def _report(folder: Path, what: str, names: Iterable[str]) -> None:
    listed = sorted(names)
    if listed:
        raise ModelError(f"{folder}: the checkpoint {what} {', '.join(_shown(listed))}")


def _shown(names: list[str]) -> Iterator[str]:
    yield from names[:SHOWN_NAMES]
    if len(names) > SHOWN_NAMES:
        yield f"and {len(names) - SHOWN_NAMES} more"
