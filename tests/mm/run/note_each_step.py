"""tools/train.py for test_two_nodes.py: each process notes the pictures of its steps. With EQUISTERA_TEST_DIE_AT=N the
second one is killed within step N."""

import os
import runpy
import signal
import sys
from pathlib import Path

from equistera.mm.data.batches import pictures_of
from equistera.mm.run import train as training
from equistera.mm.run.loop import TrainLoop

rank, die_at = os.environ.get("RANK", "0"), int(os.environ.get("EQUISTERA_TEST_DIE_AT", 0))
notes = (Path(os.environ["EQUISTERA_TEST_DUMP"]) / f"rank{rank}.txt").open("a", buffering=1)
step = TrainLoop._step


def note_and_step(loop, number, batch, *rest) -> None:
    # the animals of a picture are told apart by their targets
    targets = next(iter(batch["data_samples"].values())).flatten(1).double().sum(dim=1)
    samples = [f"{Path(path).name}:{value:.6f}" for path, value in zip(pictures_of(batch), targets, strict=True)]
    notes.write(f"{loop.epoch} {number} {' '.join(samples)}\n")
    if rank == "1" and loop.iter + 1 == die_at:
        os.kill(os.getpid(), signal.SIGKILL)
    step(loop, number, batch, *rest)


TrainLoop._step = note_and_step
sys.argv[0] = "train.py"
runpy.run_path(str(Path(training.__file__).parents[3] / "tools" / "train.py"), run_name="__main__")
