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
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class PointError(RuntimeError):
    """A point that failed for a reason that is no fault of the scenario; the rows before it are kept."""


def results(attempt: Callable[[Item], Result], due: deque[Item], workers: int) -> Generator[tuple[Item, Result]]:
    """Each item with what became of it, in the order in which they are finished.

    Args:
        attempt: a function at the top of a module, so that other processes find it.
        due: what to do; emptied, also of items that join it meanwhile.
        workers: processes; 1 is this one itself.

    Raises:
        PointError: a worker was killed.
        Exception: what `attempt` raises.
    """
    if workers == 1:
        while due:
            item = due.popleft()
            yield item, attempt(item)
        return
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's thread pools half alive
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_be_a_worker) as pool:
        running: dict[Future[Result], Item] = {}
        try:
            while due or running:
                with _interrupts_held_back():  # submitting starts workers
                    running |= {pool.submit(attempt, item): item for item in drained(due)}
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            raise PointError("a worker was killed, perhaps for lack of memory; try fewer workers") from None
        except BaseException:  # nobody waits for what the workers still do, or for those that still start
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)  # waits, or Python's own shutdown writes to a pipe that it just closed


def drained(due: deque[Item]) -> Iterator[Item]:
    """Take out everything."""
    while due:
        yield due.popleft()


def _be_a_worker() -> None:
    """End without a word on Ctrl-C, and with the process that owns the files, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait, here until the end and in processes started meanwhile until they are workers.

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
