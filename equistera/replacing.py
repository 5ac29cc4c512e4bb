"""The last step of writing a file: what was written beside it takes its place."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

#: Seconds that a file may be held open by another program: a virus scanner or a search index, more often than a person.
PATIENCE = 3.0


def replace(written: str | Path, target: str | Path) -> None:
    """As ``os.replace``; where another program holds the target, as Windows lets it, it is tried for a while.

    Raises:
        OSError: It cannot be replaced.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(written, target)
            return
        except PermissionError as error:
            # only Windows refuses for what a moment may change
            if not hasattr(error, "winerror"):
                raise
            if time.monotonic() > end:
                raise PermissionError(errno.EACCES, "another program has it open; close that", str(target)) from error
            time.sleep(0.1)
