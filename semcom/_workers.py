"""Points by processes on this computer."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_ALONE = 2  # attempts at what was being done when a worker was killed, each by a worker that does nothing else
_LOST = 3  # items that kill whoever does them, before nothing more is begun


class PointError(RuntimeError):
    """A point that failed for a reason that is no fault of the scenario; the rows before it are kept."""


def results(attempt: Callable[[Item], Result], due: deque[Item], workers: int) -> Generator[tuple[Item, Result]]:
    """Each item with what became of it, in the order in which they are finished.

    When a worker is killed all are started anew, and what they were at is done again, one by one. An item that kills
    its worker then, too, is left out; the others are done before it is named, unless there are several such items.

    Args:
        attempt: a function at the top of a module, so that other processes find it.
        due: what to do; emptied, also of items that join it meanwhile.
        workers: processes; 1 is this one itself.

    Raises:
        PointError: items whose workers were killed again and again, or workers that cannot start.
        Exception: what `attempt` raises.
    """
    if workers == 1:
        while due:
            item = due.popleft()
            yield item, attempt(item)
        return
    lost: list[Item] = []
    while due and len(lost) < _LOST:
        for item in (yield from _by_pool(attempt, due, workers)):
            for _ in range(_ALONE):
                if not (yield from _by_pool(attempt, deque([item]), 1)):
                    break
            else:
                lost.append(item)
    if lost:
        others = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise PointError(f"{lost[0]}{others}: workers were killed at it, perhaps for lack of memory: lower `batch`")


def _by_pool(
    attempt: Callable[[Item], Result], due: deque[Item], workers: int
) -> Generator[tuple[Item, Result], None, list[Item]]:
    """The same by one pool, until all is done or a worker is killed; returns what was being done then."""
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's thread pools half alive
    running: dict[Future[Result], Item] = {}  # as submitted, which is the order in which they are begun
    started: set[BaseProcess] = set()
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_be_a_worker) as pool:
        try:
            while due or running:
                with _interrupts_held_back():  # submitting starts workers
                    while due:
                        running[pool.submit(attempt, due[0])] = due[0]
                        due.popleft()
                started |= set(multiprocessing.active_children()) - others
                done = wait(running, return_when=FIRST_COMPLETED).done
                for future in sorted(done, key=lambda future: future.exception() is not None):  # results first
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool:
            pool.shutdown()
            if any((process.exitcode or 0) > 0 for process in started):  # below 0 it was a signal
                guard = "a script of your own needs `if __name__ == '__main__':` around what it runs"
                raise PointError(f"workers ended while they started; {guard}") from None
            for future in [future for future in running if future.exception() is None]:
                yield running.pop(future), future.result()
            left = list(running.values())
            due.extendleft(reversed(left[workers:]))
            return left[:workers]
        except BaseException:
            with _interrupts_held_back():  # a second Ctrl-C is in no more hurry than the first
                for worker in set(multiprocessing.active_children()) - others:  # nobody waits for what they still do
                    worker.kill()
                pool.shutdown(cancel_futures=True)
            raise
    return []


def drained(due: deque[Item]) -> Iterator[Item]:
    """Take out everything."""
    while due:
        yield due.popleft()


def _be_a_worker() -> None:
    """End with the process that owns the files, however that ends, and not before it on Ctrl-C, which reaches both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait, here until the end and in processes started meanwhile, which never heed it.

    While a process still imports, Ctrl-C would make it print where it was.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
