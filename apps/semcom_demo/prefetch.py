"""Frames of the SNR slider computed before they are asked for, by one thread that waits while a page computes."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from channels import UsageError

Job = Callable[[], object]


def _is_open(visitor: str) -> bool:
    """Whether the page of a visitor is still open."""
    return not visitor or not runtime.exists() or runtime.get_instance().is_active_session(visitor)


class Prefetch:
    """A thread that transmits images between the runs of the pages; visitors take turns, one frame each.

    Args:
        is_open: Function that says whether a visitor still has the page; the frames of the others are not computed.
    """

    def __init__(self, is_open: Callable[[str], bool] = _is_open) -> None:
        self._is_open = is_open
        self._jobs: OrderedDict[str, deque[Job]] = OrderedDict()
        self._pages = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._work, daemon=True).start()

    def ask(self, visitor: str, jobs: Sequence[Job]) -> None:
        """Compute these frames in their order, in place of the ones that the same visitor asked for before."""
        with self._changed:
            self._jobs.pop(visitor, None)
            if jobs:
                self._jobs[visitor] = deque(jobs)
            self._changed.notify()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Context in which no further frame is begun."""
        with self._changed:
            self._pages += 1
        try:
            yield
        finally:
            with self._changed:
                self._pages -= 1
                self._changed.notify()

    def _work(self) -> None:
        while True:
            job = self._next()
            try:
                job()
            except UsageError:  # the page shows it when the slider is there
                continue
            except Exception:  # this thread computes the frames of all visitors
                logging.getLogger(__name__).exception("a frame of the slider failed")

    def _next(self) -> Job:
        """The next frame of the visitor who has waited for the longest time."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: bool(self._jobs) and not self._pages)
                visitor, jobs = self._jobs.popitem(last=False)
                if self._is_open(visitor):
                    break
            job = jobs.popleft()
            if jobs:
                self._jobs[visitor] = jobs
            return job


@st.cache_resource(show_spinner=False)
def worker() -> Prefetch:
    """The thread of this process."""
    return Prefetch()


def ask(jobs: Sequence[Job]) -> None:
    """Compute frames for the visitor of this page."""
    context = get_script_run_ctx()
    worker().ask("" if context is None else context.session_id, jobs)


def order(snr_db: int, levels: Sequence[int]) -> list[int]:
    """The SNRs of all frames: every sixth decibel first, then every third, then the rest, the nearest first."""

    def rank(level: int) -> tuple[int, int]:
        offset = levels[0] - level
        return (0 if offset % 6 == 0 else 1 if offset % 3 == 0 else 2), abs(level - snr_db)

    return sorted(levels, key=rank)
