"""Points as tasks of a Ray cluster, which schedules them and repeats a task whose worker or node has died."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from channels.errors import UsageError
from channels.extras import extra
from semcom.sweep.workers import PointError, drained

if TYPE_CHECKING:
    from semcom.scenario.model import Point

Result = TypeVar("Result")

_TIMEOUT_S = 5.0  # for a connection to an address; Ray itself would wait for minutes


@dataclass(frozen=True)
class Ray:
    """A Ray cluster; each point reserves as many CPUs as the scenario has `threads`.

    Args:
        address: "host:port" of the head node; "auto" for the cluster that this computer belongs to; "local" for a
            cluster that is started here and ends with the run; None for the value of RAY_ADDRESS, else "auto", else
            "local".
        gpus: number or fraction of GPUs reserved for each point, which then runs on it; with 0 a point has no access
            to a GPU.
    """

    address: str | None = None
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.gpus <= 1 or self.gpus in range(2, 1025)):
            raise UsageError(f"gpus must be a fraction from 0 to 1 or a whole number up to 1024, not {self.gpus:g}")

    def device(self, name: str) -> str:
        """Kind of the device on which points run on the nodes: "cuda" if GPUs are reserved, else "cpu".

        Raises:
            UsageError: `name`, a value of `--device`, contradicts the reservation.
        """
        if name not in ("auto", "cpu", "cuda"):
            raise UsageError(f"--device {name} is not supported on a Ray cluster; use auto, cpu or cuda")
        kind = "cuda" if self.gpus else "cpu"
        if name not in ("auto", kind):
            fix = "leave out --gpus" if self.gpus else "reserve a share of a GPU for each point with --gpus"
            raise UsageError(f"--device {name} contradicts --gpus {self.gpus:g}; {fix}")
        return kind

    def results(self, attempt: Callable[[Point], Result], due: deque[Point]) -> Generator[tuple[Point, Result]]:
        """Simulate points on the cluster and yield each with its result, in the order in which they finish.

        Args:
            attempt: function of a point, at the top level of a module that every node has.
            due: points to simulate; emptied, including points that are added meanwhile.

        Raises:
            UsageError: Ray is not installed, there is no cluster at the address, or no node has the CPUs and GPUs of a
                point; also a UsageError of `attempt`.
            PointError: the workers of a point died repeatedly, or `attempt` failed.
        """
        ray = self._connected()
        try:
            self._check_resources(ray.nodes(), due[0].threads if due else 0)
            task = ray.remote(_attempt_on_node)
            variables = {name: value for name, value in os.environ.items() if name.startswith("SEMCOM_")}
            running: dict[Any, Point] = {}
            while due or running:
                for point in drained(due):
                    reserved = task.options(num_cpus=point.threads, num_gpus=self.gpus)
                    running[reserved.remote(attempt, point, point.key, os.getcwd(), variables)] = point
                [finished], _ = ray.wait(list(running), num_returns=1)
                point = running.pop(finished)
                yield point, _result(finished, point)
        finally:
            ray.shutdown()  # also ends the tasks of this process

    def _connected(self) -> Any:
        """The module `ray`, connected to the cluster."""
        address = os.environ.get("RAY_ADDRESS") if self.address is None else self.address
        _enable_token()
        with extra("ray"):
            import ray
        if ray.is_initialized():
            raise UsageError("this process is already connected to Ray; call ray.shutdown() and give the address here")
        if address is not None and not _listens(address):
            raise UsageError(
                f"no answer at the Ray address {address}; check there with `ray status` that Ray is running"
            )
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        except (Exception, SystemExit) as error:  # Ray exits if another program answers
            reason = " ".join(str(error).split())
            if address in (None, "local"):
                fix = "try again when it is less busy, or use --workers N"
                raise UsageError(f"Ray could not be started on this computer ({reason}); {fix}") from None
            fix = "check that Ray runs there with the same token (RAY_AUTH_MODE, ~/.ray/auth_token)"
            raise UsageError(f"no Ray cluster at {address}: {fix} ({reason})") from None
        return ray

    def _check_resources(self, nodes: list[dict[str, Any]], threads: int) -> None:
        """Raise a `UsageError` if no node has the CPUs and GPUs of a point: Ray would wait for one forever."""
        resources = [node["Resources"] for node in nodes if node["Alive"]]
        if not any(has.get("CPU", 0) >= threads and has.get("GPU", 0) >= self.gpus for has in resources):
            gpus = f" and {self.gpus:g} GPUs" if self.gpus else ""
            raise UsageError(f"no node of the Ray cluster has {threads} CPUs (`threads` of the scenario){gpus}")


def _enable_token() -> None:
    """Use the authentication token of this computer, if any: `ray.init` with an address does not do so by itself."""
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if named or Path(os.path.expanduser("~/.ray/auth_token")).is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _listens(address: str) -> bool:
    """Whether a program listens at an address; True for "auto" and "local".

    Raises:
        UsageError: the address is neither of these nor host:port.
    """
    if address in ("auto", "local"):
        return True
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise UsageError(f"the Ray address must be host:port of the head node, auto or local, not {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S).close()
    except (OSError, OverflowError):
        return False
    return True


def _result(finished: Any, point: Point) -> Any:
    """The result of a finished task; raises the error that it ended with."""
    with extra("ray"):
        import ray
        from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(finished)
    except RayTaskError as error:
        if isinstance(error.cause, UsageError | PointError):
            raise error.cause from error
        raise PointError(f"{point}: {type(error.cause).__name__}: {error.cause}") from error
    except RayError as error:
        raise PointError(
            f"{point}: its workers died, possibly out of memory ({type(error).__name__}); lower `batch`"
        ) from error


def _attempt_on_node(
    attempt: Callable[[Point], Result], point: Point, key: str, folder: str, variables: dict[str, str]
) -> Result:
    """A task: simulate the point in the working directory and with the variables of the command."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise UsageError(
            f"node {socket.gethostname()} cannot enter {folder}: {error.strerror}; start the run in a folder that all "
            "nodes share"
        ) from None
    os.environ.update(variables)
    if point.key != key:
        raise UsageError(
            f"node {socket.gethostname()} has another version of a file that {point.system.label} over "
            f"{point.channel.label} reads; keep the file in a folder that all nodes share"
        )
    return attempt(point)
