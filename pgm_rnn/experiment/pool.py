"""Where cells are computed: worker processes that outlive neither the run nor their own crash, or a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import ModuleType
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from pgm_rnn.checks import reject
from pgm_rnn.experiment.study import RunFailed
from pgm_rnn.experiment.worker import Outcome, Task, compute, one_line

P = ParamSpec("P")
T = TypeVar("T")

Finished = tuple[Task, Outcome]


def on_this_machine(tasks: Sequence[Task], workers: int) -> Generator[Finished, None, None]:
    """Tasks as they finish, on ``workers`` processes.

    When a worker dies, whatever was running is tried again, one task at a time, which tells the task that kills its
    worker from those that were running beside it. It fails when it has done so twice.
    """
    queue = deque(tasks)
    deaths: Counter[str] = Counter()
    while queue:
        with worker_processes(min(workers, len(queue))) as pool:
            suspects = deque((yield from drain(pool, queue, workers)))
        while suspects:
            with worker_processes(1) as pool:
                lost = yield from drain(pool, suspects, 1)
            for task in lost:
                deaths[task.key] += 1
                if deaths[task.key] < 2:
                    suspects.appendleft(task)
                else:
                    yield task, Outcome(error="its worker process died twice")


def on_cluster(tasks: Sequence[Task], address: str) -> Generator[Finished, None, None]:
    """Tasks as they finish, on the workers of a Dask scheduler, which sends those of a lost worker elsewhere."""
    if not tasks:
        return
    try:
        from distributed import Client
    except ImportError:
        raise reject("cluster", "the package distributed", "none", "install pgm-rnn[cluster]") from None
    try:
        place = urlsplit(address)
        socket.create_connection((place.hostname, place.port), timeout=10).close()
    except (OSError, TypeError, ValueError) as error:
        raise reject("cluster", "a Dask scheduler at tcp://host:port", f"{address!r} ({error})") from None
    with Client(address, set_as_default=False) as client:
        pool = client.get_executor(pure=False, retries=2)
        try:
            yield from drain(pool, deque(tasks), len(tasks))
        finally:
            pool.shutdown(wait=False)


def drain(pool: Executor, queue: deque[Task], window: int) -> Generator[Finished, None, list[Task]]:
    """Work off ``queue`` with at most ``window`` tasks at a time.

    Returns:
        The tasks that were running when a worker died, after which the pool is of no more use; else none.
    """
    running: dict[Future[Outcome], Task] = {}
    lost: list[Task] = []
    while running or (queue and not lost):
        while queue and not lost and len(running) < window:
            task = queue.popleft()
            try:
                running[pool.submit(compute, task)] = task
            except BrokenExecutor:
                lost.append(task)
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            task = running.pop(future)
            if future.cancelled():
                raise RunFailed("the cluster's scheduler was lost; finished cells are kept")
            error = future.exception()
            if isinstance(error, BrokenExecutor):
                lost.append(task)
            else:
                yield task, Outcome(error=one_line(error)) if error else future.result()
    return lost


@contextmanager
def worker_processes(count: int) -> Iterator[Executor]:
    """A pool of processes that end with this block, or with this process, even if it is killed.

    Workers hold one end of a pipe. When the other end is closed, by us or by the operating system, they exit at once.
    """
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    pool = WorkerPool(count, context, initializer=follow, initargs=(theirs,))
    try:
        yield pool
    finally:
        ours.close()
        pool.shutdown(cancel_futures=True)
        theirs.close()


class WorkerPool(ProcessPoolExecutor):
    """A pool whose processes take no part in the program that started them."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit; the process that this may start neither runs the caller's script nor hears Ctrl-C."""
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")  # so the script needs no `if __name__ == "__main__"`
        heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            sys.modules["__main__"] = main
            signal.pthread_sigmask(signal.SIG_SETMASK, heard)


def follow(lifeline: Connection) -> None:
    """In a worker: exit as soon as the other end of ``lifeline`` is closed."""

    def wait_for_the_end() -> None:
        with suppress(EOFError, OSError):
            lifeline.recv_bytes()
        os._exit(1)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
