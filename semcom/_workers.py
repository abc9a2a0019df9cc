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
from contextlib import closing, contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_DEATHS = 3  # of workers in a row, without a result between them


class PointError(RuntimeError):
    """A point that failed for a reason that is no fault of the scenario; the rows before it are kept."""


def results(attempt: Callable[[Item], Result], due: deque[Item], workers: int) -> Generator[tuple[Item, Result]]:
    """Each item with what became of it, in the order in which they are finished.

    What a worker was at when it was killed is done again by others.

    Args:
        attempt: a function at the top of a module, so that other processes find it.
        due: what to do; emptied, also of items that join it meanwhile.
        workers: processes; 1 is this one itself.

    Raises:
        PointError: workers were killed again and again.
        Exception: what `attempt` raises.
    """
    if workers == 1:
        while due:
            item = due.popleft()
            yield item, attempt(item)
        return
    deaths = 0
    while due:
        try:
            with closing(_by_pool(attempt, due, workers)) as finished:
                for result in finished:
                    deaths = 0
                    yield result
        except BrokenProcessPool:
            deaths += 1
            if deaths == _DEATHS:
                raise PointError("workers were killed, perhaps for lack of memory; try fewer workers") from None


def _by_pool(attempt: Callable[[Item], Result], due: deque[Item], workers: int) -> Generator[tuple[Item, Result]]:
    """The same by one pool, which lasts until one of its workers is killed; what it leaves undone is due again."""
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's thread pools half alive
    running: dict[Future[Result], Item] = {}
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_be_a_worker) as pool:
        try:
            while due or running:
                with _interrupts_held_back():  # submitting starts workers
                    while due:
                        running[pool.submit(attempt, due[0])] = due[0]
                        due.popleft()
                done = wait(running, return_when=FIRST_COMPLETED).done
                for future in sorted(done, key=lambda future: future.exception() is not None):  # results first
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool:
            due.extendleft(reversed(running.values()))
            raise
        except BaseException:
            with _interrupts_held_back():  # a second Ctrl-C is in no more hurry than the first
                for worker in set(multiprocessing.active_children()) - others:  # nobody waits for what they still do
                    worker.kill()
                pool.shutdown(cancel_futures=True)
            raise


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
