"""Standard output and error that may end before the work does: nothing that is said is worth a run."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import IO

#: Whoever read the output is gone for good: a pipe's reader, a terminal.
_GONE = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ESHUTDOWN, errno.ECONNRESET, errno.EINVAL)


class PatientStream:
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
        with self._patience():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._patience():
            self._stream.flush()

    def isatty(self) -> bool:
        return not self.reader_is_gone and self._stream.isatty()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
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
def patiently() -> Iterator[tuple[PatientStream, PatientStream]]:
    """Makes standard output and error patient for a while."""
    before = sys.stdout, sys.stderr
    for stream in before:
        # a file name may hold what the console's encoding does not
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    out, err = patient = PatientStream(sys.stdout), PatientStream(sys.stderr)
    sys.stdout, sys.stderr = patient
    try:
        yield patient
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before
