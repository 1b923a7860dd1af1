"""The grammar files that come with radixgen: `grammars/` in a source tree, `radixgen/grammar/files/` in a wheel."""

from __future__ import annotations

from pathlib import Path

from radixgen.errors import ConstraintError

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "files", _HERE.parent.parent / "grammars")


def find_grammar(name: str) -> str:
    """The text of a grammar file, like `email.regex`; a `.regex` file holds one pattern.

    Raises:
        ConstraintError: when there is none of that name; lists those there are.
    """
    folder = next((one for one in _FOLDERS if one.is_dir()), None)
    names = (
        sorted(path.name for path in folder.iterdir() if path.suffix in (".regex", ".lark", ".ebnf", ".gbnf"))
        if folder
        else []
    )
    if folder is None or name not in names:
        raise ConstraintError(f"no grammar is named {name!r}; there are {', '.join(names) or 'none'}")
    text = (folder / name).read_text(encoding="utf-8")
    return text.strip() if name.endswith(".regex") else text
