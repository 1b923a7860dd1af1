"""The walls of the house: which part may import which, and where heavy libraries may be touched."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "radixgen"

# A part may import only parts before it in this list.
ORDER = [
    "errors", "params", "config", "tokens", "automata", "kvcache", "wire", "kernels", "grammar", "models", "schema",
    "runner", "mask", "scheduler", "worker", "engine", "dsl", "jobs", "server", "cli",
]  # fmt: skip
# Parts that may import less than their place allows.
NARROW = {
    "automata": {"errors"},
    "grammar": {"errors", "params", "automata"},
    "schema": {"errors", "params", "grammar", "automata"},
    "kvcache": {"errors", "params"},
    "wire": {"errors", "params"},
    "kernels": {"errors"},
    "models": {"errors", "config", "kernels"},
    "mask": {"errors", "params", "schema", "grammar", "automata", "tokens"},
    "scheduler": {"errors", "params", "config", "mask", "kvcache", "runner"},
    "engine": {"errors", "params", "config", "schema", "wire", "worker"},
    "jobs": {"errors", "params", "config", "schema", "engine"},
}
# A library that only these parts may import.
ONLY = {
    "torch": {"kernels", "models", "runner"},
    "zmq": {"wire"},
    "triton": {"kernels"},
    "tokenizers": {"tokens"},
    "pickle": set(),
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            if node.module == "radixgen":
                yield from (f"radixgen.{alias.name}" for alias in node.names)


SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if part_of(path) not in ("__init__", "__main__"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_part_imports_only_parts_listed_above_it(path: Path) -> None:
    part = part_of(path)
    allowed = set(ORDER[: ORDER.index(part) + 1]) if part in ORDER else {"builtin"}
    if part in NARROW:
        allowed = NARROW[part] | {part}
    for name in imports_of(path):
        pieces = name.split(".")
        if pieces[0] == "radixgen" and len(pieces) > 1 and pieces[1] in ORDER:
            assert pieces[1] in allowed, f"{part} must not import {name}"
        for library, parts in ONLY.items():
            assert pieces[0] != library or part in parts, f"{part} must not import {library}"


def test_the_engine_meets_the_worker_only_for_in_process_use() -> None:
    places = [
        path.name
        for path in (PACKAGE / "engine").rglob("*.py")
        for name in imports_of(path)
        if name.startswith("radixgen.worker")
    ]
    assert len(places) <= 1


@pytest.mark.parametrize(
    "statement",
    ["import radixgen.mask.engine", "import radixgen.scheduler.scheduler", "import radixgen; radixgen.Engine"],
)
def test_integer_work_and_thin_clients_load_no_torch(statement: str) -> None:
    code = f"{statement}\nimport sys\nsys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_source_holds_mutable_state_at_module_level() -> None:
    """A dict, list or set bound at module level must be a constant by name, and nothing may say `global`."""
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(
                node.value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp
            ):
                for target in node.targets:
                    assert isinstance(target, ast.Name), path
                    assert target.id.isupper() or target.id.lstrip("_").isupper() or target.id == "__all__", (
                        f"{path}: {target.id}"
                    )
        assert not any(isinstance(node, ast.Global) for node in ast.walk(tree)), f"{path} uses global"
