"""tools/train.py, then every process writes its weights and those that it evaluated: what test_train.py compares."""

import os
import runpy
import sys
from pathlib import Path

import torch

from equistera.mm import train as training
from equistera.mm.loop import ResumableTrainLoop
from equistera.mm.trainer import Trainer

folder, rank = Path(os.environ["EQUISTERA_TEST_DUMP"]), os.environ["RANK"]

finished = []
Trainer.train = (lambda original: lambda self: (original(self), finished.append(self))[0])(Trainer.train)
run_epoch = ResumableTrainLoop.run_epoch


def run_and_dump_epoch(loop) -> None:
    run_epoch(loop)
    torch.save(loop.runner.network.state_dict(), folder / f"epoch{loop.epoch}_rank{rank}.pth")


ResumableTrainLoop.run_epoch = run_and_dump_epoch

try:
    sys.argv[0] = "train.py"
    runpy.run_path(str(Path(training.__file__).parents[2] / "tools" / "train.py"), run_name="__main__")
except SystemExit as stop:
    if stop.code:
        raise
trainer = finished[-1]  # before it --max-time may have measured with another
evaluated = {f"evaluated {name}": value for name, value in trainer.evaluated.changes.items()}
weights = {**trainer.network.state_dict(), **evaluated, "candidate": torch.tensor(trainer.evaluated.error)}
torch.save(weights, folder / f"rank{rank}.pth")
