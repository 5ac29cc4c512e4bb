"""Signals that ask a run to stop: Ctrl-C, ``kill``, ``docker stop``, Slurm's notice before it takes the node back.

The step that is being computed is finished and saved first, see :mod:`equistera.mm.run.loop`; a second Ctrl-C ends
the run at once. Several processes stop at the same step, although their signals arrive at different moments.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed
from torch.utils.data import DataLoader
from torch.utils.data._utils import signal_handling

from equistera.cli import raise_missed_interrupt

#: What each signal is, in the words of who reads the last line of the run. Not every system has all of them.
SIGNALS = {
    getattr(signal, name): words
    for name, words in {
        "SIGINT": "Ctrl-C",
        "SIGTERM": "SIGTERM",
        "SIGUSR1": "SIGUSR1",
        "SIGHUP": "the end of its terminal",
        "SIGBREAK": "Ctrl-Break",
    }.items()
    if hasattr(signal, name)
}

#: A launcher hands a Ctrl-C on to processes that the terminal may have told already; seconds within which it is one.
ECHO = 1.0

#: Seconds that a loader's worker outlives a SIGTERM that was meant for the whole run, so that the step can be finished.
WORKER_GRACE = 60


class StopRequested(Exception):
    """The run is to stop here, because of the signal of this number."""

    def __init__(self, number: int):
        self.number = number
        super().__init__(SIGNALS.get(number, str(number)))


class Interruption:
    """Remembers a signal until the run is at a place where it can stop: a context manager around the run.

    A signal that the process was started to ignore (``nohup``) stays ignored.
    """

    def __init__(self) -> None:
        self._asked = 0
        self._asked_at = 0.0
        self._process = os.getpid()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        raise_missed_interrupt()
        # only the main thread may set handlers; a run in another one is stopped by whoever started it
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def agreed(self) -> int:
        """The signal that asked to stop, or 0; every process gets the same answer.

        With several processes all must call it equally often: it waits for the others.
        """
        if not distributed.is_initialized() or distributed.get_world_size() == 1:
            return self._asked
        asked = torch.tensor(self._asked)
        distributed.all_reduce(asked, distributed.ReduceOp.MAX, group=self._group)
        return int(asked)

    def check(self) -> None:
        """Leaves an evaluation, or other work that changes nothing, if the run is to stop.

        Hooks that compute for more than a few seconds call it now and then, every process equally often.

        Raises:
            StopRequested: It is.
        """
        number = self.agreed()
        if number:
            raise StopRequested(number)

    @functools.cached_property
    def _group(self) -> distributed.ProcessGroup | None:
        """Processes that talk without their GPUs, which would have to finish all queued work for each answer."""
        return None if distributed.get_backend() == "gloo" else distributed.new_group(backend="gloo")

    def _remember(self, number: int, frame: object) -> None:
        if os.getpid() != self._process:
            # a worker that was forked with this handler
            return
        echo = distributed.is_initialized() and time.monotonic() - self._asked_at < ECHO
        if number == signal.SIGINT and self._asked == signal.SIGINT and not echo:
            raise KeyboardInterrupt
        if not self._asked:
            self._asked, self._asked_at = int(number), time.monotonic()
        if number == getattr(signal, "SIGHUP", None):
            _discard_output()


def _discard_output() -> None:
    """Output to a terminal that is gone would fail, and with it the run."""
    with open(os.devnull, "w") as void:
        for stream in (sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                if os.isatty(stream.fileno()):
                    os.dup2(void.fileno(), stream.fileno())


def shield_workers(loader: DataLoader) -> None:
    """Makes a loader's workers leave Ctrl-C and SIGTERM to the main process, which still needs them to end its step.

    Terminals, Slurm and torch's launcher signal whole process groups. To be called before the first iteration.
    """
    if loader.num_workers:
        # torch would raise at the death of a worker wherever the main process is, in the midst of an update too; the
        # loader notices by itself within seconds, where the run can be saved
        signal_handling._SIGCHLD_handler_set = True
        loader.worker_init_fn = functools.partial(_start_worker, loader.worker_init_fn)


def dismiss_workers(loader: DataLoader) -> None:
    """Ends a loader's workers now; the interpreter's exit would send them a SIGTERM and wait."""
    iterator = getattr(loader, "_iterator", None)
    if hasattr(iterator, "_shutdown_workers"):
        iterator._shutdown_workers()


def _start_worker(then: Callable[[int], None] | None, worker: int) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(WORKER_GRACE))
    if then is not None:
        then(worker)
