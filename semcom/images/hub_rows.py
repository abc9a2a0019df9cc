"""Rows of a data set as the package datasets streams them: the file of the image, captions and class."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from channels.errors import UsageError
from channels.extras import extra
from semcom.weights.connection import hub_is_reachable, offline
from semcom.weights.hub import refuse_missing_path

# Names of columns, most usual first; an image or a class is also found in a column of another name, by its type.
_IMAGES = ("image", "img", "jpg", "png", "jpeg", "picture", "photo")
_CAPTIONS = ("caption", "captions", "text", "sentence", "sentences", "description", "txt", "prompt", "alt_text")
_CLASSES = ("label", "labels", "class", "category", "fine_label")
_REASON = 160  # characters of the message of a library


@dataclass(frozen=True)
class Address:
    """A split of a data set.

    Args:
        name: name on the hub, "organization/name", or a local folder.
        configuration: name of its configuration, "" if it has one only.
        split: name of the split.
    """

    name: str
    configuration: str
    split: str

    @classmethod
    def parsed(cls, text: str) -> Address:
        """The address that the text after "hf:" names.

        Raises:
            UsageError: the text has another form, or names a local folder that does not exist.

        >>> Address.parsed("ylecun/mnist:test")
        Address(name='ylecun/mnist', configuration='', split='test')
        """
        name, *others = text.split(":")
        if not name or len(others) not in (1, 2) or not all(others):
            raise UsageError(f"hf:{text}: write hf:ORG/NAME:SPLIT, or hf:ORG/NAME:CONFIGURATION:SPLIT")
        refuse_missing_path(name, "data set")
        return cls(name, others[0] if len(others) == 2 else "", others[-1])

    def __str__(self) -> str:
        return ":".join(["hf", self.name, *([self.configuration] if self.configuration else []), self.split])

    @property
    def local(self) -> Path | None:
        """The local folder; None for a data set on the hub."""
        path = Path(os.path.expanduser(self.name))
        return path.resolve() if path.is_dir() else None


@dataclass(frozen=True)
class About:
    """Description of a data set.

    Args:
        revision: commit on the hub; "" for a local folder.
        license: license as the page of the data set states it.
    """

    revision: str
    license: str


@dataclass(frozen=True)
class Row:
    """One image.

    Args:
        file: path of a local image file, or "".
        content: bytes of the image file if `file` is empty.
        captions: sentences that describe the image.
        class_name: name of its class, or None.
        category: number of its class, or None.
    """

    file: str
    content: bytes
    captions: tuple[str, ...]
    class_name: str | None
    category: int | None


class Columns(NamedTuple):
    """Names of the columns of a data set, None for one that it does not have."""

    image: str
    captions: str | None
    label: str | None


def about(address: Address) -> About:
    """The revision and the license of a data set.

    Raises:
        UsageError: the hub cannot be reached, or has no such data set.
    """
    if address.local is not None:
        return About("", "unknown (a local folder)")
    with extra("data"):
        from huggingface_hub import HfApi
        from huggingface_hub.errors import RepositoryNotFoundError
    _check_connection(address.name)
    with _one_line(f"hf:{address.name} cannot be read"):
        try:
            info = HfApi().dataset_info(address.name)
        except RepositoryNotFoundError:
            raise UsageError(
                f"hf:{address.name}: the Hugging Face hub has no such data set, or you have no access to it"
            ) from None
    card = info.card_data.to_dict() if info.card_data else {}
    stated = card.get("license") or "none is stated"
    return About(str(info.sha), ", ".join(stated) if isinstance(stated, list) else str(stated))


def rows(address: Address, revision: str, start: int) -> Iterator[Row]:
    """The rows of a split from the row `start` on.

    Args:
        address: split of a data set.
        revision: commit on the hub; "" for a local folder.
        start: index of the first row.

    Raises:
        UsageError: the data set has no such split or configuration, or no images, or the connection broke.
    """
    with extra("data"):
        import datasets
    if revision:
        _check_connection(address.name)
    where, source = f"hf:{address.name}", str(address.local or address.name)
    options = {"revision": revision} if revision else {}
    with _one_line(f"{where} cannot be read"):
        configuration = _configuration(address, datasets.get_dataset_config_names(source, **options))
        splits = datasets.get_dataset_split_names(source, configuration, **options)
        if address.split not in splits:
            raise UsageError(f"{where} has no split {address.split!r}; there are {', '.join(map(str, splits))}")
        stream = datasets.load_dataset(source, configuration, split=address.split, streaming=True, **options)
        features = stream.features or dict.fromkeys(next(iter(stream.take(1)), {}))  # unknown for tables of text
        columns = _columns(where, features)
        stream = stream.decode(False)  # image files as they are
    names: Sequence[str] = getattr(features[columns.label], "names", ()) if columns.label else ()
    with _one_line(f"{where}: the download stopped, run the same command again to resume"):
        for row in stream.select_columns([name for name in columns if name]).skip(start):
            yield _row(row, columns, names)


def _configuration(address: Address, existing: Sequence[str]) -> str:
    if address.configuration:
        if address.configuration not in existing:
            raise UsageError(
                f"hf:{address.name} has no configuration {address.configuration!r}; there are {', '.join(existing)}"
            )
        return address.configuration
    if len(existing) > 1 and "default" not in existing:
        raise UsageError(
            f"hf:{address.name} has the configurations {', '.join(existing)}: write hf:ORG/NAME:CONFIGURATION:SPLIT"
        )
    return "default" if "default" in existing else existing[0]


def _columns(where: str, features: Mapping[str, Any]) -> Columns:
    with extra("data"):
        import datasets

    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    classes = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    texts = [name for name, kind in features.items() if name in _CAPTIONS and _is_text(kind)]
    if not images:
        raise UsageError(f"{where} has no image column; its columns are {', '.join(features) or 'none'}")
    return Columns(
        min(images, key=partial(_rank, _IMAGES)),
        min(texts, key=partial(_rank, _CAPTIONS), default=None),
        min(classes, key=partial(_rank, _CLASSES), default=None),
    )


def _rank(usual: Sequence[str], name: str) -> int:
    return usual.index(name) if name in usual else len(usual)


def _is_text(kind: Any) -> bool:
    """Whether a column has text, or lists of text."""
    with extra("data"):
        import datasets

    inner = getattr(kind, "feature", None)
    return (isinstance(kind, datasets.Value) and "string" in kind.dtype) or (inner is not None and _is_text(inner))


def _row(row: Mapping[str, Any], columns: Columns, names: Sequence[str]) -> Row:
    image = row[columns.image] or {}
    content, path = image.get("bytes") or b"", image.get("path") or ""
    is_file = not content and os.path.isfile(path)
    if not content and path and not is_file:
        with extra("data"):
            import fsspec
        with fsspec.open(path, "rb") as file:
            content = file.read()
    written = row[columns.captions] if columns.captions else None
    captions = [written] if isinstance(written, str) else written or []
    label = row[columns.label] if columns.label else None
    category = None if label is None or label < 0 else int(label)  # -1 in splits without annotations
    return Row(
        file=path if is_file else "",
        content=content,
        captions=tuple(str(caption) for caption in captions if caption),
        class_name=None if category is None else names[category],
        category=category,
    )


def _check_connection(name: str) -> None:
    if offline():
        raise UsageError(f"hf:{name} is not in the cache as far as it is needed; HF_HUB_OFFLINE forbids downloads")
    if not hub_is_reachable():
        raise UsageError(
            f"hf:{name} is not in the cache as far as it is needed, and the Hugging Face hub cannot be reached; check "
            "the connection"
        )


@contextmanager
def _one_line(text: str) -> Iterator[None]:
    """Raise the errors of several libraries as a `UsageError` of one line."""
    try:
        yield
    except (UsageError, KeyboardInterrupt, GeneratorExit):
        raise
    except Exception as error:
        reason = textwrap.shorten(" ".join(str(error).split()) or type(error).__name__, _REASON, placeholder=" ...")
        raise UsageError(f"{text} ({reason})") from None
