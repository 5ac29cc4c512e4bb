import errno

import pytest

from equistera import cli
from equistera.errors import UserError, explained


@pytest.mark.parametrize(
    ("error", "meaning", "help_"),
    [
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "memory ran out", "num_workers"),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), "a loader worker was ended", "num_w"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's "
                      "workers are out of shared memory."), "/dev/shm", "--shm-size"),
        (RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nTraceback\nRuntimeError: unable to write "
                      "to file </torch_7_1>: No space left on device (28)"), "/dev/shm", "--shm-size"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files", "ulimit -n"),
        (RuntimeError("received 0 items of ancdata"), "too many files", "ulimit -n"),
        (RuntimeError("unable to open shared memory object </torch_7_1> in read-write mode: Too many open files (24)"),
         "too many files", "ulimit -n"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "GPU's memory", "batch_size"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
         "machine's memory", "batch_size"),
        (MemoryError(), "machine's memory", "num_workers"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "machine's memory", "num_workers"),
        (RuntimeError("can't start new thread"), "--pids-limit", "num_workers"),
        (OSError(errno.ENOSPC, "No space left on device", "x.png"), "a disk is full", "--work-dir"),
        (RuntimeError("CUDA error: no kernel image is available for execution on the device"), "GPU", "--device cpu"),
    ],
)  # fmt: skip
def test_what_the_machine_refuses_is_a_sentence_with_its_remedy(error, meaning, help_, capsys):
    told = explained(error, "4 workers")
    assert meaning in told.summary
    assert "(4 workers)" in told.summary
    assert help_ in told.hint

    def main(argv):
        raise error

    assert cli.run(main, []) == 1
    assert meaning in capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), OSError(2, "No such file"), UserError("full")])
def test_anything_else_is_not_explained_away(error):
    assert explained(error) is None
