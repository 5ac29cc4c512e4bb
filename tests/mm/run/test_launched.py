"""Training in two real CPU processes under torch.distributed.launch."""

import itertools
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from equistera.mm.network import checkpoint

DEMO = "configs/demo_rtmpose_t.py"

#: Four steps in an epoch; a stage opens with each, which DDP must notice.
STRATEGY = {"strategy.opens_at.stage3": 0.34, "strategy.opens_at.stage2": 0.67, "train_dataloader.batch_size": 2}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def launch(horses, tiny, trained):
    """Trains in two processes that write their weights after every epoch and at the end, see dump_each_rank.py."""

    def start(folder, *arguments, **environment):
        script = Path(__file__).with_name("dump_each_rank.py")
        command = [sys.executable, "-m", "torch.distributed.launch", "--nproc_per_node=2"]
        command += [f"--master_port={free_port()}", script, DEMO, "--work-dir", folder / "run"]
        options = tiny(**STRATEGY)
        command += ["--data-root", horses, "--launcher", "pytorch", *arguments, "--cfg-options", *options]
        return subprocess.run(
            list(map(str, command)),
            env={**os.environ, "EQUISTERA_TEST_DUMP": str(folder), **environment},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=1800,
        )

    return start


@pytest.fixture(scope="module")
def straight(launch, trained, tmp_path_factory):
    """Folder of a run that never stopped; not to be changed."""
    folder = tmp_path_factory.mktemp("straight")
    done = launch(folder, "--init", trained / "best.pth")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_two_processes_hold_identical_weights_in_every_phase_and_at_the_end(straight, trained):
    first, second = (torch.load(straight / f"rank{rank}.pth", weights_only=True) for rank in (0, 1))
    assert checkpoint.equal(first, second)
    each = [[torch.load(straight / f"epoch{n}_rank{r}.pth", weights_only=True) for r in (0, 1)] for n in (1, 2, 3)]
    for one, other in each:
        assert checkpoint.equal(one, other)
    states = [checkpoint.load(trained / "best.pth")["state_dict"], *(one for one, _ in each)]
    assert [_moved(before, after) for before, after in itertools.pairwise(states)] == [
        {"head"},
        {"head", "stage3"},
        {"head", "stage2", "stage3"},
    ]


def _moved(before, after) -> set[str]:
    """Stages of which anything changed, norm statistics included."""
    names = [name for name in before if not torch.equal(before[name], after[name])]
    return {"head" if name.startswith("head.") else name.split(".")[1] for name in names}


def test_a_launcher_that_is_told_to_stop_lets_both_finish_the_epoch_and_resume(launch, straight, trained, tmp_path):
    """As Slurm, or a person, ends a run: within an epoch, in the middle of all phases."""
    stopped = launch(tmp_path, "--init", trained / "best.pth", EQUISTERA_TEST_STOP_AFTER="6")
    assert stopped.returncode != 0
    said = stopped.stdout + stopped.stderr
    assert "torch.distributed.launch --nproc_per_node=2 tools/train.py" in said
    assert "--resume" in said
    work = tmp_path / "run"
    meta = checkpoint.load(work / "latest.pth")["meta"]
    assert (meta["iter"], meta["epoch"], meta["evaluation_pending"]) == (8, 2, True)

    resumed = launch(tmp_path, "--resume")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    for name in ("latest.pth", "best.pth"):
        one, other = checkpoint.load(straight / "run" / name), checkpoint.load(work / name)
        for part in ("state_dict", "optimizer", "loop"):
            assert checkpoint.equal(one.get(part), other.get(part)), (name, part)
