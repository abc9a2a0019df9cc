"""The lists that belong to image sets: which picture has which caption; damaged ones are refused in a line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from channels._errors import UsageError


def captions(path: Path) -> dict[str, tuple[str, ...]]:
    """The captions of each file: lines {"file": "test/1.jpg", "captions": ["a dog", ...]}, with at least one each."""
    found = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        try:
            record = json.loads(line)
            file, sentences = record["file"], record["captions"]
        except (ValueError, TypeError, LookupError):
            file = sentences = None
        if not (isinstance(file, str) and isinstance(sentences, list) and sentences) or not all(
            isinstance(sentence, str) for sentence in sentences
        ):
            raise UsageError(f'{path}:{number}: not a record like {{"file": "test/1.jpg", "captions": ["a dog"]}}')
        found[file] = tuple(sentences)
    return found


def labels(path: Path) -> dict[str, str]:
    """The class name of each file: columns `file` and `label`, others are ignored."""
    reader = csv.DictReader(_text(path).splitlines())
    found = {}
    try:
        missing = {"file", "label"} - set(reader.fieldnames or ())
        if missing:
            raise UsageError(f"{path} has no column {' and no column '.join(sorted(missing))}")
        for row in reader:
            if not row["file"] or not row["label"]:
                raise UsageError(f"{path}:{reader.line_num}: a file or its label is missing")
            found[row["file"]] = row["label"]
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not CSV: {error}") from None
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}, which belongs to the set: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not text in UTF-8") from None
