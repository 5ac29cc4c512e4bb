"""The one exception that a user is meant to read.

Tools catch it, print it without a traceback and exit non-zero. Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """Something the user can put right: a file, a name, an option.

    Args:
        summary: What was found and what was expected, one sentence.
        problems: Every single finding, when there are several; all are shown together.
        hint: The next step, such as a command to run.
    """

    def __init__(self, summary: str, problems: Iterable[str] = (), hint: str = ""):
        self.summary = summary
        self.problems = list(problems)
        self.hint = hint
        super().__init__(str(self))

    #: How many findings are listed before the rest is only counted.
    SHOWN = 20

    def __str__(self) -> str:
        lines = [self.summary]
        lines += [f"  - {problem}" for problem in self.problems[: self.SHOWN]]
        if len(self.problems) > self.SHOWN:
            lines.append(f"  ... and {len(self.problems) - self.SHOWN} more")
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)


class WriteError(UserError):
    """A file that could not be written.

    Args:
        path: The file wanted.
        cause: What the system said.

    Attributes:
        reason: The same in its words.
    """

    def __init__(self, path: str | Path, cause: OSError):
        in_the_way = isinstance(cause, (FileExistsError, NotADirectoryError))
        self.reason = cause.strerror or str(cause)
        if in_the_way:
            self.reason = f"{cause.filename or 'a part of the path'} is a file where a folder is needed"
        full = cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "Make room, or choose another place." if full else "Choose another place."
        super().__init__(f"cannot write {path}: {self.reason}", hint=hint)
        self._given = path, cause

    def __reduce__(self):
        # a worker hands it to the process that started it
        return WriteError, self._given


class Stopped(Exception):
    """The run was asked to stop, and did so in good order.

    Args:
        message: Where it stands and how to go on.
        number: The signal that asked; the exit code follows from it as in a shell.
    """

    def __init__(self, message: str, number: int):
        super().__init__(message)
        self.number = number
        self.exit_code = 128 + number
