"""tools/train.py for test_launched.py: every process writes its weights after each epoch, and at the end those that it
evaluated as well. With EQUISTERA_TEST_STOP_AFTER=N the launcher is told to stop within step N."""

import os
import runpy
import signal
import sys
import time
from pathlib import Path

import torch

from equistera.mm.run import train as training
from equistera.mm.run.console import Console
from equistera.mm.run.loop import TrainLoop
from equistera.mm.run.trainer import Trainer

folder = Path(os.environ["EQUISTERA_TEST_DUMP"])
# what another launcher than torch says is translated later
rank = os.environ.get("EQUISTERA_TEST_RANK") or os.environ["RANK"]

finished = []
Trainer.train = (lambda original: lambda self: (original(self), finished.append(self))[0])(Trainer.train)
run_epoch = TrainLoop.run_epoch


def run_and_dump_epoch(loop) -> None:
    run_epoch(loop)
    torch.save(loop.runner.network.state_dict(), folder / f"epoch{loop.epoch}_rank{rank}.pth")


TrainLoop.run_epoch = run_and_dump_epoch

stop_after = int(os.environ.get("EQUISTERA_TEST_STOP_AFTER", 0))


def stop_the_launcher(console, runner, loss) -> None:
    if runner.iter + 1 == stop_after and rank == "0":
        os.kill(os.getppid(), signal.SIGTERM)
        deadline = time.monotonic() + 1800
        while not runner.interruption._asked and time.monotonic() < deadline:
            time.sleep(0.01)


if stop_after:
    Console.step = stop_the_launcher

try:
    sys.argv[0] = "train.py"
    runpy.run_path(str(Path(training.__file__).parents[3] / "tools" / "train.py"), run_name="__main__")
except SystemExit as stop:
    if stop.code:
        raise
(trainer,) = finished
evaluated = {f"evaluated {name}": value for name, value in trainer.evaluated.changes.items()}
weights = {**trainer.network.state_dict(), **evaluated, "candidate": torch.tensor(trainer.evaluated.error)}
torch.save(weights, folder / f"rank{rank}.pth")
