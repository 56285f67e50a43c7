"""Work cut into tasks that know nothing of each other, for processes here or for a Ray cluster.

What comes of a task depends on the task alone, and is computed by one thread; so neither how many
work side by side nor one that dies shows in the results.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from argparse import ArgumentParser
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import cv2

from cmr_ros.errors import InputError, reason

#: Read by BLAS and by Mesa's rasteriser when they start: their threads would only compete with the
#: other processes.
_ONE_THREAD = {
    "LP_NUM_THREADS": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
#: Tasks given out for each process, so that none is idle while the next result is waited for.
_AHEAD = 4
#: How often Ray has a task done again whose process or machine died.
_RETRIES = 3
_PATIENCE_S = 10.0

Task = TypeVar("Task")
Result = TypeVar("Result")
#: What begins a task, and what says how many processes there are.
_Team = tuple[Callable[[Task], "Future[Result]"], Callable[[], int]]


@dataclass(frozen=True)
class Workers:
    """Those who work: processes of this machine or, where an address is given, a Ray cluster.

    Raises InputError for less than one process.
    """

    jobs: int = 1  # processes of this machine
    ray: str | None = None  # the cluster's address, as ray.init takes it

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise InputError(f"--jobs {self.jobs}: at least one process is needed")

    @staticmethod
    def add_arguments(parser: ArgumentParser) -> None:
        """Declare `--jobs` and `--ray`, of which one may be given."""
        either = parser.add_mutually_exclusive_group()
        either.add_argument("--jobs", type=int, default=1, help="processes")
        either.add_argument(
            "--ray", metavar="ADDRESS",
            help="all processors of a Ray cluster: auto, HOST:PORT or ray://HOST:PORT",
        )  # fmt: skip

    def map(self, work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield what `work` returns for each task, in order.

        Args:
            work: a function of a module, which other processes can import.
            tasks: taken as they are needed, some for each process.

        Raises:
            InputError: There is no such cluster, or processes died.
            Exception: What `work` raises.
        """
        with self._team(work) as (begin, count):
            begun: deque[Future[Result]] = deque()
            for task in tasks:
                begun.append(begin(task))
                if len(begun) >= _AHEAD * count():
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()

    def _team(self, work: Callable[[Task], Result]) -> AbstractContextManager[_Team[Task, Result]]:
        return _processes(self.jobs, work) if self.ray is None else _cluster(self.ray, work)


@contextmanager
def _processes(jobs: int, work: Callable[[Task], Result]) -> Iterator[_Team[Task, Result]]:
    # A forked process would share its parent's OpenGL context and threads.  A pool of
    # multiprocessing would wait for ever for a process that died.
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield lambda task: pool.submit(_do, work, task), lambda: jobs
    except BrokenProcessPool:
        raise InputError("a process died, perhaps of lack of memory: try fewer --jobs") from None
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def _cluster(address: str, work: Callable[[Task], Result]) -> Iterator[_Team[Task, Result]]:
    ray = _connected(address)
    try:
        remote = ray.remote(max_retries=_RETRIES)(_do)
        yield (
            lambda task: remote.remote(work, task).future(),
            lambda: int(ray.cluster_resources().get("CPU", 1)),  # machines come and go
        )
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise InputError(
            f"--ray {address}: {reason(error)}; call again, finished shards are kept"
        ) from None
    finally:
        ray.shutdown()


def _connected(address: str) -> ModuleType:
    """Return Ray's package, connected to a cluster."""
    try:
        import ray
    except ModuleNotFoundError:
        raise InputError(
            "--ray needs the Python package 'ray': pip install 'ray[client]'"
        ) from None
    try:
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        if colon:  # Ray itself would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
        ray.init(
            address,
            runtime_env={"env_vars": _ONE_THREAD},
            log_to_driver=False,
            logging_level="WARNING",
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"--ray {address}: no connection to a Ray cluster ({error}); "
            "`ray start --head` starts one"
        ) from None
    return ray


def _do(work: Callable[[Task], Result], task: Task) -> Any:
    cv2.setNumThreads(1)
    return work(task)
