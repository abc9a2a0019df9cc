"""The folder of a run: parts of the table, each whole or not there, so that a run can always go on."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from channels._errors import UsageError
from semcom import table as tables
from semcom.images import to_pil

if TYPE_CHECKING:
    import pyarrow
    import torch


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its parts.

    Args:
        out: the folder.
        done: keys of the points whose rows it held when it was opened.
    """

    out: Path
    done: frozenset[str]

    @classmethod
    def opened(cls, out: Path) -> RunFolder:
        """Make the folder, or take up one that a run left, however that run ended.

        Raises:
            UsageError: it cannot be written.
        """
        try:
            for name in ("rows", "seconds", "pictures"):
                (out / name).mkdir(parents=True, exist_ok=True)
            for path in out.rglob(".*.partial-*"):
                process = path.name.rpartition("-")[2]
                if process.isdecimal() and not _runs(int(process)):
                    path.unlink(missing_ok=True)
            return cls(out, frozenset(path.stem for path in (out / "rows").glob("[!.]*.parquet")))
        except OSError as error:
            raise UsageError(f"cannot write to {out}: {error.strerror}; choose another --out") from None

    def rows(self, key: str) -> pyarrow.Table:
        """The rows of a point that is done."""
        return tables.read_part(self.out / "rows" / f"{key}.parquet")

    def refuse_others(self, expected: set[str]) -> None:
        """Refuse a folder that holds parts of points that nobody asks for.

        Raises:
            UsageError: it does.
        """
        if others := self.done - expected:
            raise UsageError(
                f"{self.out} holds {len(others)} part(s) of another scenario, or of other arguments by default "
                f"({self.out / 'scenario.yaml'} says which); choose another --out or remove the folder"
            )

    def write_part(self, key: str, rows: pyarrow.Table, seconds: pyarrow.Table, pictures: Mapping[str, bytes]) -> None:
        """Write what a point leaves behind; its rows last, for they say that it is done."""
        for name, content in pictures.items():
            self.write(f"pictures/{name}", content)
        self.write(f"seconds/{key}.parquet", _parquet(seconds))
        self.write(f"rows/{key}.parquet", _parquet(rows))

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all: a temporary file, fsync, rename."""
        path = self.out / name
        temporary = path.with_name(f".{path.name}.partial-{os.getpid()}")
        try:
            try:
                with temporary.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}; rows written so far are kept") from None


def png(pixels: torch.Tensor) -> bytes:
    """A picture, float [3, h, w], as a PNG file."""
    file = io.BytesIO()
    to_pil(pixels).save(file, format="PNG")
    return file.getvalue()


def _parquet(table: pyarrow.Table) -> bytes:
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def _runs(process: int) -> bool:
    """Whether another process of that number is there, and may still be writing."""
    if process == os.getpid():
        return False  # nothing has been written yet: it is left from an earlier owner of the number
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
