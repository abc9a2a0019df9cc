"""The folder of a run: one file for the rows of each point, written atomically, so that a run can always resume."""

from __future__ import annotations

import errno
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from channels.errors import UsageError
from semcom import atomic
from semcom.images.files import to_pil
from semcom.results import table as tables
from semcom.scenario.changes import changes

if TYPE_CHECKING:
    import pyarrow
    import torch

    from semcom.scenario.model import Scenario

TABLE = "rows.parquet"
_DERIVED = ("airtime_s", tables.ARQ_DELAY)  # columns with a unit that no scenario lists


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run.

    Args:
        out: path of the folder.
        done: keys of the points whose rows it contained when it was opened.
        created: folders that were created when it was opened, parents first.
        written: names of the files that were written since.
    """

    out: Path
    done: frozenset[str]
    created: tuple[Path, ...] = ()
    written: list[str] = field(default_factory=list)

    @classmethod
    def opened(cls, out: Path) -> RunFolder:
        """Create the folder, or open that of an earlier run, finished or not.

        Raises:
            UsageError: the folder cannot be written.
        """
        folders = [*reversed(out.parents), out, *(out / name for name in ("rows", "seconds", "images"))]
        created = tuple(folder for folder in folders if not folder.exists())
        try:
            for folder in created:
                folder.mkdir(exist_ok=True)
            for folder in (out, *(path for path in out.iterdir() if path.is_dir())):
                atomic.remove_abandoned(folder)
            done = frozenset(path.stem for path in (out / "rows").glob("[!.]*.parquet"))
            return cls(out, done, created)
        except OSError as error:
            raise UsageError(f"cannot write to {out}: {error.strerror}; choose another --out") from None

    def discard(self) -> None:
        """Remove a folder that is new and has no rows, as after an invalid scenario."""
        if self.out not in self.created or any((self.out / "rows").iterdir()):
            return
        for name in self.written:
            (self.out / name).unlink(missing_ok=True)
        for folder in reversed(self.created):
            with suppress(OSError):  # another process has written to it
                folder.rmdir()

    def rows(self, key: str) -> pyarrow.Table:
        """The rows of a finished point."""
        return tables.read_part(self.out / "rows" / f"{key}.parquet")

    def metrics(self, key: str) -> tuple[str, ...]:
        """Names of the metrics in the rows of a finished point, in their order."""
        return tuple(name for name in tables.metrics(self.rows(key)) if name not in _DERIVED)

    def remove_part(self, key: str) -> None:
        """Delete the results of a point, its rows first."""
        for path in (f"rows/{key}.parquet", f"seconds/{key}.parquet", f"images/{key}.png"):
            (self.out / path).unlink(missing_ok=True)

    def refuse_others(self, expected: set[str], scenario: Scenario) -> None:
        """Check that the folder contains no rows of other points.

        Args:
            expected: keys of the points of the scenario.
            scenario: the scenario, for the message.

        Raises:
            UsageError: it contains rows of another scenario.
        """
        if others := self.done - expected:
            differing = changes(self.out / "scenario.yaml", scenario)
            reason = f"changed: {differing}" if differing else "other default arguments or other code"
            raise UsageError(
                f"{self.out} contains rows of {len(others)} point{'s' if len(others) > 1 else ''} of another scenario "
                f"({reason}): choose another --out and keep them, or delete {self.out} and run the command again"
            )

    def write_part(self, key: str, rows: pyarrow.Table, seconds: pyarrow.Table, images: Mapping[str, bytes]) -> None:
        """Write the results of a point: the rows last, because their file marks the point as finished."""
        for name, content in images.items():
            self.write(f"images/{name}", content)
        self.write(f"seconds/{key}.parquet", _parquet(seconds))
        self.write(f"rows/{key}.parquet", _parquet(rows))

    def write_table(self) -> None:
        """Write rows.parquet, the rows of all points in one table, for pandas and other programs.

        The points of different systems have different columns, of which those programs read the first file's only.
        """
        self.write(TABLE, _parquet(tables.read(self.out)))

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the folder atomically."""
        path = self.out / name
        try:
            atomic.write(path, content)
            self.written.append(name)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            fix = "free space and run the same command again to resume" if full else "choose another --out"
            raise UsageError(f"cannot write {path}: {error.strerror}; {fix}") from None


def png(pixels: torch.Tensor) -> bytes:
    """An image, float [3, h, w], as a PNG file."""
    file = io.BytesIO()
    to_pil(pixels).save(file, format="PNG")
    return file.getvalue()


def _parquet(table: pyarrow.Table) -> bytes:
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()
