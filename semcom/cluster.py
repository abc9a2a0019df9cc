"""Points as tasks of a Ray cluster, which schedules them, and repeats those whose worker or node has died."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from channels._errors import UsageError
from semcom._workers import PointError, drained

if TYPE_CHECKING:
    from semcom.scenario import Point

Result = TypeVar("Result")

_PATIENCE_S = 5.0  # for an address to answer; Ray itself waits for minutes


@dataclass(frozen=True)
class Ray:
    """A Ray cluster. Each point takes as many CPUs as the scenario has `threads`.

    Args:
        address: "host:port" of the head node, or "auto" for the cluster that this computer belongs to, or "local" for
            one that starts here and ends with the run; None is what RAY_ADDRESS says, else "auto", else "local".
        gpus: share of a GPU that a point takes, for systems of your own that use one; a point without sees none.
    """

    address: str | None = None
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.gpus <= 1 or self.gpus in range(2, 1025)):
            raise UsageError(f"gpus must be a share from 0 to 1 or a whole number, not {self.gpus:g}")

    def results(self, attempt: Callable[[Point], Result], due: deque[Point]) -> Generator[tuple[Point, Result]]:
        """Each point with what became of it, in the order in which they are finished.

        Args:
            attempt: a function at the top of a module that every node has.
            due: what to do; emptied, also of points that join it meanwhile.

        Raises:
            UsageError: Ray is not installed, there is no cluster at the address, or none of its nodes suits a point.
            PointError: a point whose workers died again and again, or that came to grief otherwise.
            Exception: what `attempt` raises, if that is a UsageError or a PointError.
        """
        ray = self._connected()
        try:
            self._refuse_what_no_node_has(ray.nodes(), due[0].threads if due else 0)
            task = ray.remote(_attempt_there)
            variables = {name: value for name, value in os.environ.items() if name.startswith("SEMCOM_")}
            running: dict[Any, Point] = {}
            while due or running:
                for point in drained(due):
                    there = task.options(num_cpus=point.threads, num_gpus=self.gpus)
                    running[there.remote(attempt, point, point.key, os.getcwd(), variables)] = point
                [finished], _ = ray.wait(list(running), num_returns=1)
                point = running.pop(finished)
                yield point, _result(finished, point)
        finally:
            ray.shutdown()  # ends the tasks of this process, too

    def _connected(self) -> Any:
        """The module `ray`, connected."""
        address = os.environ.get("RAY_ADDRESS") if self.address is None else self.address
        _enable_token()
        try:
            import ray
        except ImportError:
            raise UsageError("Ray is not installed; pip install 'semcom[ray]'") from None
        if ray.is_initialized():
            raise UsageError("this process is connected to Ray already; call ray.shutdown() and name the address here")
        if address is not None and not _listens(address):
            raise UsageError(f"nothing answers at the Ray address {address}; `ray status` there says whether Ray runs")
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except (Exception, SystemExit) as error:  # Ray exits where something else than Ray answers
            reason = " ".join(str(error).split())
            if address in (None, "local"):
                fix = "try again when it is less busy, or take --workers N"
                raise UsageError(f"no Ray could be started on this computer ({reason}); {fix}") from None
            fix = "does Ray run there, with the same token (RAY_AUTH_MODE, ~/.ray/auth_token)?"
            raise UsageError(f"no Ray cluster at {address}: {fix} ({reason})") from None
        return ray

    def _refuse_what_no_node_has(self, nodes: list[dict[str, Any]], threads: int) -> None:
        """Ray would wait for such a node for ever."""
        there = [node["Resources"] for node in nodes if node["Alive"]]
        if not any(has.get("CPU", 0) >= threads and has.get("GPU", 0) >= self.gpus for has in there):
            gpus = f" and {self.gpus:g} GPUs" if self.gpus else ""
            raise UsageError(f"no node of the Ray cluster has {threads} CPUs (`threads` of the scenario){gpus}")


def _enable_token() -> None:
    """Use the token of this computer where there is one, as `ray start` does but not a connection by address."""
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if named or Path("~/.ray/auth_token").expanduser().is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _listens(address: str) -> bool:
    """Whether something listens at an address; true of "auto" and "local".

    Raises:
        UsageError: neither of these, nor host:port.
    """
    if address in ("auto", "local"):
        return True
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise UsageError(f"the address of Ray is host:port of the head node, or auto, or local, not {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
    except (OSError, OverflowError):
        return False
    return True


def _result(finished: Any, point: Point) -> Any:
    """What a task returned, or the error that it ended with."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(finished)
    except RayTaskError as error:
        if isinstance(error.cause, UsageError | PointError):
            raise error.cause from error
        raise PointError(f"{point}: {type(error.cause).__name__}: {error.cause}") from error
    except RayError as error:
        raise PointError(f"{point}: its workers died, perhaps for lack of memory ({type(error).__name__})") from error


def _attempt_there(
    attempt: Callable[[Point], Result], point: Point, key: str, folder: str, variables: dict[str, str]
) -> Result:
    """A task: what the point names, it finds from where the command was given, as the command itself would."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise UsageError(
            f"node {socket.gethostname()} cannot enter {folder}: {error.strerror}; start the run in a folder of a file "
            "system that all nodes share"
        ) from None
    os.environ.update(variables)
    if point.key != key:
        raise UsageError(
            f"node {socket.gethostname()} has another version of a file that {point.system.label} over "
            f"{point.channel.label} names; keep it on a file system that all nodes share"
        )
    return attempt(point)
