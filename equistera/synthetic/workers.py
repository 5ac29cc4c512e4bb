"""Rendering in several processes: what comes out, and its order, is that of one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from equistera.environment import usable_cores
from equistera.errors import UserError

T = TypeVar("T")
R = TypeVar("R")

#: Tasks handed to a worker at a time.
CHUNK = 4


def rendered(
    work: Callable[[T], R],
    tasks: Sequence[T],
    workers: int | None = None,
    *,
    prepare: Callable[..., None] | None = None,
    given: tuple[Any, ...] = (),
) -> Iterator[R]:
    """Does tasks in processes and yields their results in the order of the tasks.

    Args:
        work: Takes a task; a function of a module.
        tasks: All tasks.
        workers: Processes; one for each processor by default. Few tasks are done in this one.
        prepare: Called once in every process before its first task.
        given: Its arguments.

    Raises:
        UserError: A process was killed.
    """
    workers = min(workers or usable_cores(), -(-len(tasks) // CHUNK))
    if workers <= 1:
        if prepare:
            prepare(*given)
        yield from map(work, tasks)
        return
    # fresh processes: forking one that has run OpenCV's threads can hang
    context = multiprocessing.get_context("spawn")
    start = (prepare, given)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=start) as pool:
        try:
            yield from pool.map(work, tasks, chunksize=CHUNK)
        except BrokenProcessPool as error:
            raise UserError(
                "a rendering process was killed, perhaps for memory", hint="Try again with fewer --workers."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(prepare: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    import cv2

    cv2.setNumThreads(1)
    # Ctrl-C reaches every process of the terminal; the parent alone answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare:
        prepare(*given)


def _end_with_parent() -> None:
    # a worker of a killed parent would wait for work for ever
    multiprocessing.parent_process().join()
    os._exit(1)
