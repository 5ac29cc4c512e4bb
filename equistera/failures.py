"""What the machine refuses, in words: memory, shared memory, file handles, processes, disk, GPU.

Libraries report these with an exception of any kind, whose text is often all that tells them apart, and which may have
crossed from a worker process as text alone.
"""

from __future__ import annotations

import errno
import re

from equistera.errors import UserError

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
