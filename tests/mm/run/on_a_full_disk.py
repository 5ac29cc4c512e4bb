"""tools/train.py on a disk that is full at some epochs: what test_full_disk.py runs.

python on_a_full_disk.py HOW EPOCHS WORK_DIR ARGUMENTS...

HOW is ``limit``, where files may not grow beyond a small size (a real EFBIG, from the system), or ``disk``, where
WORK_DIR is a small file system of its own that is filled up (a real ENOSPC). EPOCHS, as in ``2,3``, are those at whose
end it is full, from their last step until they have been evaluated and saved.
"""

import contextlib
import os
import runpy
import sys
from pathlib import Path

from equistera.mm.run import train as training
from equistera.mm.run.loop import TrainLoop

how, epochs, work_dir, *arguments = sys.argv[1:]
full_epochs = {int(epoch) for epoch in epochs.split(",")}
filler = Path(work_dir) / "filler"


def set_full(full: bool) -> None:
    if how == "limit":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000 if full else most, most))
    elif full:
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)) == 4096:
                pass
    else:
        filler.unlink(missing_ok=True)


complete_epoch = TrainLoop._complete_epoch


def complete_on_a_full_disk(loop) -> None:
    set_full(loop.epoch in full_epochs)
    complete_epoch(loop)
    set_full(False)


TrainLoop._complete_epoch = complete_on_a_full_disk
os.environ["PYTHONUNBUFFERED"] = "1"
sys.argv = ["train.py", *arguments, "--work-dir", work_dir]
sys.path.insert(0, str(Path(training.__file__).parents[3]))
runpy.run_path(str(Path(training.__file__).parents[3] / "tools" / "train.py"), run_name="__main__")
