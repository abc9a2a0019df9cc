"""The progress of a run on stderr: a bar on a terminal, else a line every ten seconds."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

_BAR = "{percentage:3.0f} % |{bar:30}| {n_fmt} of {total_fmt} {unit}, {elapsed} elapsed, {remaining} remaining"
_LINE = "{percentage:3.0f} %, {n_fmt} of {total_fmt} {unit}, {elapsed} elapsed, {remaining} remaining"
_COUNT = "{n_fmt} {unit}, {elapsed} elapsed"
_SECONDS = 10.0  # least time between two lines


class _Lines:
    """A stream that ends each state of a progress bar with a line end, for log files.

    The first state is written together with the second one: the first point of a run may be refused.
    """

    def __init__(self) -> None:
        self._last, self._waiting = "", ""

    def write(self, text: str) -> None:
        line = text.strip()
        if line in ("", self._last):
            return
        if not self._last:
            self._waiting = f"{line}\n"
        else:
            sys.stderr.write(f"{self._waiting}{line}\n")
            self._waiting = ""
        self._last = line

    def flush(self) -> None:
        sys.stderr.flush()


class _Bar(tqdm):  # type: ignore[type-arg]
    """A progress bar that leaves nothing behind where nothing was done: its first item was refused."""

    def close(self) -> None:
        if not self.disable and self.n == self.initial:
            self.leave = False
        super().close()


def bar(
    total: int | None, done: int, shown: bool, unit: str = "points", delay_s: float = 0.0, scaled: bool = False
) -> tqdm[Any]:
    """A progress bar over the points of a run, or over other units of work.

    Args:
        total: number of points; None if it is unknown.
        done: number of points that are finished already.
        shown: whether to print anything.
        unit: name of what is counted.
        delay_s: seconds before anything is printed; shorter work prints nothing.
        scaled: whether numbers are printed with the prefixes k, M and G.
    """
    in_place = not shown or sys.stderr.isatty()  # otherwise a line from time to time, for log files
    lines: Any = None if in_place else _Lines()
    return _Bar(
        total=total,
        initial=done,
        unit=unit,
        unit_scale=scaled,
        bar_format=_COUNT if total is None else _BAR if in_place else _LINE,
        delay=delay_s,
        disable=not shown,
        file=lines,
        mininterval=0.1 if in_place else _SECONDS,
        miniters=None if in_place else 1,
        maxinterval=10 if in_place else 1e9,
    )
