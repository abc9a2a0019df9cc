"""Points by processes on this computer."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_ALONE = 2  # attempts at what was being done when a worker was killed, each by a worker that does nothing else
_LOST = 3  # items that kill whoever does them, before nothing more is begun


class PointError(RuntimeError):
    """A point that failed for a reason that is no fault of the scenario; the rows before it are kept."""


def results(attempt: Callable[[Item], Result], due: deque[Item], workers: int) -> Generator[tuple[Item, Result]]:
    """Each item with what became of it, in the order in which they are finished.

    When a worker is killed the others finish what they are at; then what it was at is done again, alone. An item that
    kills its worker then, too, is left out, and the others are done before it is named, unless there are several such.

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
    """The same by one pool, until all is done or a worker is killed; returns what was being done by the killed."""
    crew: list[_Worker] = []
    busy: dict[Connection, tuple[_Worker, Item]] = {}
    lost: list[Item] = []
    try:
        while busy or (due and not lost):
            with _interrupts_held_back():
                while due and not lost and len(busy) < workers:
                    idle = [worker for worker in crew if worker.line not in busy]
                    if not idle:
                        crew.append(_Worker(attempt))
                    worker = (idle or crew)[-1]
                    worker.hand(due[0])
                    busy[worker.line] = worker, due.popleft()
            failures: list[BaseException] = []
            answered = wait(list(busy))
            for line in [line for line in busy if line in answered]:
                worker, item = busy.pop(line)
                try:
                    result, failure = line.recv()
                except (EOFError, OSError):
                    lost.append(item)
                    crew.remove(worker)
                    if worker.exit_status() > 0:  # below 0 it was a signal
                        guard = "a script of your own needs `if __name__ == '__main__':` around what it runs"
                        failures.append(PointError(f"workers ended while they started; {guard}"))
                else:
                    if failure is None:
                        yield item, result
                    else:
                        failures.append(failure)
            if failures:
                raise failures[0]  # after the results that came with it
    except BaseException:
        with _interrupts_held_back():  # a second Ctrl-C is in no more hurry than the first
            for worker in crew:  # nobody waits for what they still do
                worker.process.kill()
        raise
    finally:
        with _interrupts_held_back():
            for worker in crew:
                worker.dismiss()
    return lost


class _Worker:
    """A process that attempts what it is handed.

    Each has a line of its own, so that one that is killed as it answers keeps nobody waiting. The pools of the standard
    library share one line and hang then, as they do when Ctrl-C comes while they hold a lock.
    """

    def __init__(self, attempt: Callable[[Any], Any]) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork would inherit torch's thread pools half alive
        self.line, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_work, args=(attempt, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def hand(self, *item: Any) -> None:
        with suppress(OSError):  # of a worker that was killed, which is seen when its answer is read
            self.line.send(item)

    def dismiss(self) -> None:
        self.hand()
        self.process.join()
        self.line.close()

    def exit_status(self) -> int:
        self.process.join()
        return self.process.exitcode or 0


def _work(attempt: Callable[[Any], Any], line: Connection) -> None:
    """End with the process that owns the files, however that ends, and not before it on Ctrl-C, which reaches both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError):  # of an owner who is gone
        while item := line.recv():
            result = failure = None
            try:
                result = attempt(*item)
            except BaseException as error:  # the owner's to handle
                error.add_note(traceback.format_exc())  # the traceback itself stays here
                failure = error
            line.send((result, failure))


def drained(due: deque[Item]) -> Iterator[Item]:
    """Take out everything."""
    while due:
        yield due.popleft()


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
