"""The grammar files that come with radixgen: `grammars/` in a source tree, `radixgen/grammar/files/` in a wheel."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from radixgen.errors import ConstraintError

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "files", _HERE.parent.parent / "grammars")
_SUFFIXES = (".lark", ".regex")


class GrammarFile(NamedTuple):
    name: str
    """With its suffix: `.lark`, or `.regex` for a single pattern."""
    text: str

    @property
    def is_regex(self) -> bool:
        return self.name.endswith(".regex")


def grammar_names() -> list[str]:
    """The files that there are, sorted."""
    folder = _folder()
    return sorted(path.name for path in folder.iterdir() if path.suffix in _SUFFIXES) if folder else []


def find_grammar(name: str) -> str:
    """The text of a grammar file, like `email.regex` or, without its suffix, `email`; a `.regex` file is one pattern.

    Raises:
        ConstraintError: when there is none of that name; lists those there are.
    """
    return open_grammar(name).text


def open_grammar(name: str) -> GrammarFile:
    """The file of that name, with its text. Raises as `find_grammar`."""
    names = grammar_names()
    found = next((one for one in (name, *(name + suffix for suffix in _SUFFIXES)) if one in names), None)
    folder = _folder()
    if found is None or folder is None:
        known = ", ".join(Path(one).stem for one in names)
        raise ConstraintError(f"no grammar is named {name!r}; there are {known or 'none'}")
    text = (folder / found).read_text(encoding="utf-8")
    return GrammarFile(found, text.strip() if found.endswith(".regex") else text)


def _folder() -> Path | None:
    return next((one for one in _FOLDERS if one.is_dir()), None)
