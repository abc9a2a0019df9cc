"""Files and folders that a scenario names: looked for beside the scenario file, then in the working directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from semcom.scenario.document import Document


def located(document: Document, text: str) -> str | None:
    """The path under which a file or folder is found from the working directory; None if there is none.

    Args:
        document: scenario that names the file.
        text: path in the scenario; a relative path starts from the folder of the scenario file or, if nothing is
            there, from the working directory.
    """
    path = Path(os.path.expanduser(text))
    if document.folder is not None and not path.is_absolute() and not document.folder.samefile("."):
        beside = (document.folder / path).absolute()
        if beside.exists():
            return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)
    return text if path.exists() else None


def searched(document: Document) -> str:
    """The folders that `located` searches, for error messages."""
    folders = [Path.cwd()] if document.folder is None else [document.folder.absolute(), Path.cwd()]
    return f"searched {' and '.join(dict.fromkeys(map(str, folders)))}"


def argument(document: Document, value: Any) -> Any:
    """A value of a system or channel; text that is the path of a file becomes its path from the working directory."""
    if isinstance(value, list):
        return [argument(document, item) for item in value]
    if isinstance(value, str) and ("/" in value or Path(value).suffix):
        return located(document, value) or value
    return value
