"""What a process inherits and a tool decides for itself: variables, limits, and streams that may end before the work.

Notebooks, clusters and containers set much that is meant for others. What has a right value here gets it; what cannot
be put right is refused by name. Nothing that is said is worth a run: where nobody reads it, the work goes on.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib.machinery
import os
import platform
import sys
import warnings
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import IO

from equistera.errors import UserError

try:
    import resource
except ImportError:  # Windows
    resource = None

#: Open files that a process may have, where the system lets it: each tensor that a loader's worker hands over is one
#: for a while, and the usual 1,024 (256 on macOS) are soon reached.
OPEN_FILES = 16384

#: Turns that a waiting thread of OpenMP makes before it sleeps; GNU's default is 300,000. One that turns uses up its
#: share of a core as one that works does, and where another program wants one too each step waits for whole time
#: slices: docs/benchmarks.md, "Beside a busy core".
_SPINS = 5000

#: mallopt's numbers of what decides whether freed memory goes back to the system (glibc's malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
#: What says in a user's own words how malloc is to do that.
_MALLOC_SAYS = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")

#: What PYTHONPATH must not replace: the versions that fit together are installed.
_OURS = ("numpy", "cv2", "torch", "torchvision", "mmengine", "mmcv", "mmpose", "mmdet", "matplotlib")
#: Whoever read the output is gone for good: a pipe's reader, a terminal.
_GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ESHUTDOWN, errno.ECONNRESET, errno.EINVAL)


def prepare(environment: MutableMapping[str, str] = os.environ) -> None:
    """Makes this process independent of what it inherited; to be called before anything large is imported.

    Args:
        environment: Changed.

    Raises:
        UserError: ``PYTHONPATH`` puts another version of a package before the installed one.
    """
    _open_standard_streams()
    # a notebook names a backend of its own, which is not installed here; every figure is a file
    environment["MPLBACKEND"] = "agg"
    # an experiment's "error" is for its own code: libraries warn while they are imported
    environment.pop("PYTHONWARNINGS", None)
    # a list, though typeshed says that it is any sequence
    warnings.filters[:] = [kept for kept in warnings.filters if kept[0] != "error"]  # type: ignore[index]
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", str(_SPINS))
    if not environment.keys() & set(_MALLOC_SAYS):
        _keep_freed_memory()
    _allow_open_files()
    _refuse_replaced_packages(environment.get("PYTHONPATH", ""))


def usable_cores() -> int:
    """CPU cores that this process may use: fewer than the machine has under ``taskset``, Slurm or a CPU set."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_standard_streams() -> None:
    """Where standard input, output or error is closed, the next file to be opened would take its number, and whatever
    a library prints would go into that file."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # the lowest free number is the one that was just found closed
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - as long as the process


def _keep_freed_memory() -> None:
    """Lets malloc keep what is freed, for the next tensor of that size.

    glibc gives large blocks back at once. The system then clears the same pages for each step anew, which took a third
    of a training step on a CPU: docs/benchmarks.md, "Memory that is kept". The peak of memory stays what it was.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)


def _allow_open_files() -> None:
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS may refuse what it says is allowed
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _refuse_replaced_packages(python_path: str) -> None:
    added = {os.path.abspath(entry) for entry in python_path.split(os.pathsep) if entry}
    if not added:
        return
    installed = [entry for entry in sys.path if os.path.abspath(entry) not in added]
    problems = []
    for name in _OURS:
        found, own = (importlib.machinery.PathFinder.find_spec(name, path) for path in (None, installed))
        if found and own and found.origin != own.origin:
            problems.append(f"{name} from {Path(found.origin or name).parent}, not {Path(own.origin or name).parent}")
    if problems:
        raise UserError(
            "PYTHONPATH puts other packages before the installed ones:", problems, "unset PYTHONPATH, and run it again"
        )


class TolerantStream:
    """A stream that loses what cannot be written.

    Args:
        stream: The stream meant.

    Attributes:
        lost: Why something was lost, first of all; None as long as nothing was.
    """

    def __init__(self, stream: IO[str]):
        self._stream = stream
        self.lost: OSError | ValueError | None = None

    @property
    def reader_is_gone(self) -> bool:
        """Whether nothing that is written from now on is read."""
        return isinstance(self.lost, ValueError) or (self.lost is not None and self.lost.errno in _GONE)

    def write(self, text: str) -> int:
        with self._tolerance():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._tolerance():
            self._stream.flush()

    def isatty(self) -> bool:
        return not self.reader_is_gone and self._stream.isatty()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _tolerance(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError:
            raise
        except (OSError, ValueError) as error:  # a closed file is a ValueError
            self.lost = self.lost or error
            if self.reader_is_gone:
                _silence(self._stream)


def _silence(stream: IO[str]) -> None:
    """Lets what libraries and worker processes write there go nowhere, and what is left in the stream's memory."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as void:
        os.dup2(void.fileno(), stream.fileno())
        stream.flush()


@contextlib.contextmanager
def tolerant_streams() -> Iterator[tuple[TolerantStream, TolerantStream]]:
    """Makes standard output and error lose what cannot be written, for a while."""
    before = sys.stdout, sys.stderr
    for stream in before:
        # a file name may hold what the console's encoding does not
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    out, err = tolerant = TolerantStream(sys.stdout), TolerantStream(sys.stderr)
    sys.stdout, sys.stderr = tolerant
    try:
        yield tolerant
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before
