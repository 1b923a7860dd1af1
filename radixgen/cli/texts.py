"""Files that a command is given."""

from __future__ import annotations

from pathlib import Path

from radixgen.errors import InputError


def read_text(path: Path) -> str:
    """Raises `InputError`, naming the file, where it cannot be read or is no UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from None
