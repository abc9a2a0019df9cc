"""Lists of captions and class names that belong to image sets."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from channels.errors import UsageError
from semcom.images.names import readable


def captions(path: Path) -> dict[str, tuple[str, ...]]:
    """Captions by file name, from a JSON Lines file.

    Args:
        path: file with lines such as {"file": "test/1.jpg", "captions": ["a dog", "a brown dog"]}, with at least one
            caption each.

    Raises:
        UsageError: the file cannot be read or a line has another form.
    """
    found = {}
    for number, line in enumerate(_text(path).split("\n"), 1):  # JSON may contain U+2028, where splitlines() cuts
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            file, sentences = record["file"], record["captions"]
        except (ValueError, TypeError, LookupError):
            file = sentences = None
        if not (isinstance(file, str) and isinstance(sentences, list) and sentences) or not all(
            isinstance(sentence, str) for sentence in sentences
        ):
            raise UsageError(f'{path}:{number}: not a record like {{"file": "test/1.jpg", "captions": ["a dog"]}}')
        found[readable(file)] = tuple(sentences)
    return found


def labels(path: Path) -> dict[str, str]:
    """Class names by file name, from a CSV file.

    Args:
        path: file with the columns `file` and `label`; other columns are ignored.

    Raises:
        UsageError: the file cannot be read, a column is missing or a value is empty.
    """
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    found = {}
    try:
        missing = {"file", "label"} - set(reader.fieldnames or ())
        if missing:
            raise UsageError(
                f"{path} has no column {' and no column '.join(sorted(missing))}; add it to the first line"
            )
        for row in reader:
            if not row["file"] or not row["label"]:
                raise UsageError(f"{path}:{reader.line_num}: a file or its label is missing; add it")
            found[readable(row["file"])] = row["label"]
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not CSV: {error}") from None
    return found


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # newlines inside of quotes belong to a value
            return file.read()
    except OSError as error:
        raise UsageError(f"cannot read {path}, a part of the data set: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not text in UTF-8; save it as such") from None
