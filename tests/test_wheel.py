"""What a built wheel carries: the code, the grammars and the model, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_model_the_grammars_and_the_page(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    model = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "model.safetensors")
    assert {f"radixgen/builtin/{name}" for name in model} <= names
    shipped = {path.name for path in (ROOT / "grammars").iterdir() if path.is_file()}
    assert {f"radixgen/grammar/files/{name}" for name in shipped} <= names
    assert {f"radixgen/server/static/{path.name}" for path in (ROOT / "radixgen/server/static").iterdir()} <= names
    assert not [name for name in names if name.startswith(("tests/", "bench/", "examples/"))]


def test_grammars_are_found_in_an_installed_wheel_and_in_the_source_tree(wheel: Path, tmp_path: Path) -> None:
    name = next(path.name for path in sorted((ROOT / "grammars").iterdir()) if path.suffix == ".regex")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        f"from radixgen.grammar import find_grammar; import radixgen; print(radixgen.__file__); find_grammar({name!r})"
    )
    for place in (tmp_path, ROOT):
        found = subprocess.run([sys.executable, "-c", code], cwd=place, check=True, capture_output=True, text=True)
        assert found.stdout.startswith(str(place))


def test_the_model_fits_its_size() -> None:
    assert (
        sum(path.stat().st_size for path in (ROOT / "radixgen" / "builtin").iterdir() if path.is_file()) <= 16_000_000
    )
