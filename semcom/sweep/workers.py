"""Points in worker processes on this computer."""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import TypeVar

from semcom import allocator
from semcom.sweep import memory

Item = TypeVar("Item")
Result = TypeVar("Result")

_START_S = 5.0  # more than the imports of workers take; they start only for at least as much work each
_RETRIES = 2  # attempts at an item whose worker was killed, each with no other worker running
_MAX_FAILED = 3  # items that killed their worker in every attempt, after which no further item is started


class PointError(RuntimeError):
    """A point failed for a reason other than invalid input; the rows of other points are saved."""


def results(
    attempt: Callable[[Item], Result], due: deque[Item], workers: int | None, most: int = 1
) -> Generator[tuple[Item, Result]]:
    """Apply a function to items in parallel and yield each item with its result, in the order in which they finish.

    When a worker is killed (by the system, when memory runs out), the other workers finish their items; then its item
    is repeated with no other worker running. An item whose worker is killed again is skipped and reported at the end,
    after all other items; after three such items no further item is started.

    Args:
        attempt: function of an item, at the top level of a module other than the script.
        due: items to process; emptied, including items that are added meanwhile.
        workers: number of processes; 1 for this process alone; None for as many as shorten the run, measured on the
            first items, which this process handles.
        most: largest number of processes if `workers` is None.

    Raises:
        PointError: the workers of an item were killed repeatedly, or workers cannot start.
        Exception: any exception of `attempt`.
    """
    helping = workers is None
    if workers is None or workers == 1 or not hasattr(os, "fork"):
        workers = yield from _alone(attempt, due, most if helping and hasattr(os, "fork") else 1)
    failed: list[Item] = []
    while due and len(failed) < _MAX_FAILED:
        for item in (yield from _by_workers(attempt, due, workers, helping)):
            helping = False
            for _ in range(_RETRIES):
                if not (yield from _by_workers(attempt, deque([item]), 1)):
                    break
            else:
                failed.append(item)
    if failed:
        others = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise PointError(f"{failed[0]}{others}: its workers were killed, possibly out of memory; lower `batch`")


def _alone(attempt: Callable[[Item], Result], due: deque[Item], most: int) -> Generator[tuple[Item, Result], None, int]:
    """The same in this process, until more processes would save time; returns their number, 1 if all items are done."""
    start, done = time.perf_counter(), 0
    while due:
        item = due.popleft()
        yield item, attempt(item)
        done += 1
        remaining_s = (time.perf_counter() - start) / done * len(due)
        workers = min(most, len(due), int(remaining_s / _START_S))
        if workers > 1 and (workers := min(workers, _fitting())) > 1:
            return workers
    return 1


def _fitting() -> int:
    """Number of processes as large as this one that the available memory has room for."""
    import resource

    free, used = memory.available(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return sys.maxsize if free is None else free // used


def _by_workers(
    attempt: Callable[[Item], Result], due: deque[Item], count: int, helping: bool = False
) -> Generator[tuple[Item, Result], None, list[Item]]:
    """The same with workers, until all items are done or a worker is killed; returns the items of killed workers.

    Args:
        attempt: function of an item.
        due: items to process.
        count: number of workers.
        helping: whether this process handles items, too, until a worker has answered.
    """
    busy: dict[Connection, Item] = {}
    killed: list[Item] = []
    with _workers(count) as (starter, idle):
        while busy or (due and not killed):
            while due and idle and not killed:
                pipe = idle.pop()
                with suppress(OSError):  # a killed worker is detected when its answer is read
                    pipe.send((attempt, due[0]))
                busy[pipe] = due.popleft()
            while helping and due and not wait(list(busy), timeout=0):
                item = due.popleft()
                yield item, attempt(item)
            helping = False
            failure, ready = None, wait(list(busy))
            for pipe in [pipe for pipe in busy if pipe in ready]:
                item = busy.pop(pipe)
                try:
                    result, error = pipe.recv()
                except (EOFError, OSError):
                    if starter.has_failed():
                        raise PointError("workers ended during their start, for the reason above") from None
                    killed.append(item)
                    continue
                idle.append(pipe)
                if error is None:
                    yield item, result
                failure = failure or error
            if failure is not None:
                raise failure  # after the results of the same round
    return killed


class _Starter:
    """A process that imports what workers need and then forks them; it ends with this process.

    The workers do not run the script of this process. They have a separate process group, which a Ctrl-C in the
    terminal does not reach, and which is killed as a whole by `kill`. Each worker has its own pipe, so that one that is
    killed while it answers does not block the others.

    Args:
        most: largest number of workers.
        modules: names of modules to import at once, while this process continues.
    """

    def __init__(self, most: int, modules: Sequence[str] = ()) -> None:
        pairs = [Pipe() for _ in range(most)]
        self.pipes = [ours for ours, _ in pairs]
        ends = [theirs.fileno() for _, theirs in pairs]
        program = f"import sys; sys.path[:] = {sys.path}; from {__name__} import _start; _start({ends}, {[*modules]})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, pass_fds=ends, process_group=0
        )
        for _, theirs in pairs:
            theirs.close()

    def fork(self, count: int) -> list[Connection]:
        """Fork a number of workers, once, with the modules that this process has imported; returns their pipes."""
        modules = [name for name in sys.modules if name.startswith(("semcom.", "channels."))]
        assert self._process.stdin is not None
        with suppress(OSError):  # a process that has ended is detected when an answer is read
            self._process.stdin.write(f"{json.dumps([count, sys.path, modules])}\n".encode())
            self._process.stdin.flush()
        return self.pipes[:count]

    def has_failed(self) -> bool:
        """Whether the process has ended with an error."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(0.2) > 0  # negative for a signal
        return False

    def kill(self) -> None:
        """End the process and all workers."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        for pipe in self.pipes:
            pipe.close()


_ahead: list[_Starter] = []  # at most one process that was started before its workers were needed


@contextmanager
def ahead(most: int) -> Iterator[None]:
    """Begin the imports of up to `most` workers, which `results` may start within the block.

    The imports of this process and those of the workers then run side by side. `most` below two does nothing.
    """
    if most > 1 and hasattr(os, "fork") and not _ahead:
        _ahead.append(_Starter(most, ["semcom.sweep.transmission"]))
    try:
        yield
    finally:
        while _ahead:
            _ahead.pop().kill()


@contextmanager
def _workers(count: int) -> Iterator[tuple[_Starter, list[Connection]]]:
    """Worker processes: the process that forked them, and a pipe to each worker. They are killed after the block."""
    starter = _ahead.pop() if _ahead else _Starter(count)
    if count > len(starter.pipes):
        starter.kill()
        starter = _Starter(count)
    try:
        yield starter, starter.fork(count)
    finally:
        starter.kill()


def _start(ends: list[int], modules: list[str]) -> None:
    """Import modules, fork workers on request, and kill all of them when the process that uses them ends.

    Args:
        ends: file descriptor of the pipe of each possible worker.
        modules: names of modules to import at once.
    """
    allocator.collect_rarely()
    _import(modules)
    if modules:
        _load()
    request = sys.stdin.buffer.readline()
    if not request:
        os._exit(0)
    count, sys.path[:], modules = json.loads(request)
    _import(modules)
    gc.freeze()  # the workers share the memory of what is imported, which a search for unused objects would copy
    for end in ends[:count]:
        if os.fork() == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
            for other in ends:
                if other != end:
                    os.close(other)
            _work(Connection(end))
            os._exit(0)
    for end in ends:
        os.close(end)
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


def _load() -> None:
    """Load what the first point of each worker would: compiled functions, and pandas where pyarrow finds it."""
    import pyarrow

    import channels.rng_kernel  # noqa: F401 - then the next line loads the compiled functions
    from channels.rng import Rng

    Rng([0]).normal(1)
    pyarrow.array([0])


def _import(modules: Sequence[str]) -> None:
    for name in modules:
        with suppress(ImportError):  # a file of the user, which is imported again when it is needed
            importlib.import_module(name)


def _work(pipe: Connection) -> None:
    """Process items until the other end of the pipe is closed."""
    with suppress(EOFError, OSError):
        while True:
            attempt, item = pipe.recv()
            result = failure = None
            try:
                result = attempt(item)
            except BaseException as error:  # raised again in the process that uses the workers
                error.add_note(traceback.format_exc())  # the traceback itself cannot be sent
                failure = error
            sys.stdout.flush()
            sys.stderr.flush()
            pipe.send((result, failure))


def drained(due: deque[Item]) -> Iterator[Item]:
    """Remove and yield all items."""
    while due:
        yield due.popleft()
