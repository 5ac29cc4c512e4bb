"""The one exception that a user is meant to read, and what the machine refuses in its words.

Tools catch it, print it without a traceback and exit non-zero. Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pydantic


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


def shape_problems(error: pydantic.ValidationError) -> list[str]:
    """What pydantic found: ``images[0].file_name: Input should be a valid string, found 7``, a line each."""
    lines = []
    for one in error.errors():
        if one["type"] == "value_error":
            # our own words
            lines.append(str(one["ctx"]["error"]))
            continue
        # of a choice of types each is told by its name, as the last part of the place
        types = {"int", "str"}.intersection(one["loc"][-1:])
        place = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in one["loc"] if part not in types
        )
        own_words = {"model_type": "should be an object", "dataclass_type": "should be an object"}
        problem = "should be a whole number or a text" if types else own_words.get(one["type"], one["msg"])
        lines.append(f"{place.removeprefix('.')}: {problem}, found {str(one['input'])[:60]}".removeprefix(": "))
    # an id that is neither a number nor a text is told twice, as either
    return list(dict.fromkeys(lines))


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


_FEWER_WORKERS = "fewer workers (--cfg-options train_dataloader.num_workers=1 val_dataloader.num_workers=1; 0 is none)"
_SMALLER = "a smaller batch (--cfg-options train_dataloader.batch_size=...)"

#: What the text of an error holds, what that means, and what helps; the first that fits counts. A worker that died of
#: a Bus error wrote into shared memory that was not there.
_TEXTS: tuple[tuple[str, str, str], ...] = (
    (
        r"Too many open files|received \d+ items of ancdata",
        "too many files are open for this process's limit (ulimit -n)",
        f"Raise it: ulimit -n 65536; or take {_FEWER_WORKERS}",
    ),
    (
        r"Bus error|SIGBUS|shared memory|unable to (?:write|mmap|resize|allocate).*torch_|shm_open|/dev/shm",
        "the shared memory through which loader workers hand over their batches is full (/dev/shm)",
        f"Take {_FEWER_WORKERS}; or more of it: docker run --shm-size=8g (or --ipc=host)",
    ),
    (
        r"CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED|MPS backend out of memory",
        "the GPU's memory does not suffice",
        f"Take {_SMALLER} or mixed precision (--amp); nvidia-smi shows whether another process uses the GPU",
    ),
    (
        r"gloo\b.*(?:closed by peer|reset by peer|[Tt]imed out)|remote process exited|Watchdog caught collective",
        "another process of this run has ended, or its machine cannot be reached",
        "What that one said, above or in the log of its machine, is the cause",
    ),
    (
        r"DataLoader worker.*(?:killed by signal|exited unexpectedly)|ended by SIG",
        "a loader worker was ended from outside, most likely by the system because memory ran out",
        f"Take {_FEWER_WORKERS} or {_SMALLER}; dmesg names what the system ended",
    ),
    (
        r"DefaultCPUAllocator|can't allocate memory|not enough memory|Unable to allocate|Cannot allocate memory"
        r"|std::bad_alloc|Insufficient memory|Failed to allocate|failed to map segment",
        "the machine's memory does not suffice",
        f"Take {_SMALLER}, {_FEWER_WORKERS}, or end what else runs here",
    ),
    (
        r"can't start new thread|Resource temporarily unavailable|pthread_create failed",
        "the system allows no more processes or threads (ulimit -u, -v; docker run --pids-limit)",
        f"Raise that limit, or take {_FEWER_WORKERS}",
    ),
    (
        r"No space left on device|Disk quota exceeded|File too large",
        "a disk is full",
        "Make room, or let the output go to another one (--work-dir, --out); TMPDIR names the one for temporary files",
    ),
    (
        r"CUDA error|CUDA driver|cuDNN error|NVIDIA driver|no kernel image|CUBLAS_STATUS|CUDNN_STATUS",
        "the GPU does not do what it is asked",
        "nvidia-smi shows its state; --device cpu works without it, ./setup.sh chooses the build of torch that fits it",
    ),
)

#: Ready while there is memory for it.
_KINDS = [(re.compile(pattern), meaning, help_) for pattern, meaning, help_ in _TEXTS]

_NUMBERS = {
    errno.EMFILE: "Too many open files",
    errno.ENFILE: "Too many open files",
    errno.ENOMEM: "Cannot allocate memory",
    errno.EAGAIN: "Resource temporarily unavailable",
    errno.ENOSPC: "No space left on device",
    errno.EDQUOT: "Disk quota exceeded",
}


class MachineFailure(UserError):
    """The machine did not allow what was going on; nothing is wrong with data or options."""


def explained(error: BaseException, now: str = "") -> MachineFailure | None:
    """What an error says about the machine, or None if it says nothing of the kind.

    Args:
        error: Anything that was raised.
        now: What is in use, such as ``"4 workers, batch 32"``.
    """
    if isinstance(error, UserError):
        return error if isinstance(error, MachineFailure) else None
    text = f"{_NUMBERS.get(getattr(error, 'errno', None), '')} {error}\n{now}"
    if isinstance(error, MemoryError):
        text += " Cannot allocate memory"
    for pattern, meaning, help_ in _KINDS:
        found = pattern.search(text)
        if found:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            said = next((line for line in lines if pattern.search(line)), lines[-1])
            return MachineFailure(f"{meaning}{f' ({now})' if now else ''}: {said[:200]}", hint=help_)
    return None
