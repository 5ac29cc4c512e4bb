"""Training in two real CPU processes that say who they are as under ``srun`` and ``mpirun``."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from equistera.mm.network import checkpoint

DEMO = "configs/demo_rtmpose_t.py"

#: What each process is told, by launcher.
TOLD = {
    "slurm": lambda rank, job: {
        "SLURM_PROCID": rank,
        "SLURM_NTASKS": "2",
        "SLURM_LOCALID": rank,
        "SLURM_NNODES": "1",
        "SLURM_JOB_ID": job,
    },
    "mpi": lambda rank, job: {
        "OMPI_COMM_WORLD_RANK": rank,
        "OMPI_COMM_WORLD_SIZE": "2",
        "OMPI_COMM_WORLD_LOCAL_RANK": rank,
        "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
        "PMIX_NAMESPACE": job,
    },
}


@pytest.mark.parametrize("launcher", ["slurm", pytest.param("mpi", marks=pytest.mark.slow)])
def test_two_processes_are_one_run(launcher, horses, tiny, trained, tmp_path):
    work = shutil.copytree(trained, tmp_path / "run")
    script = Path(__file__).with_name("dump_each_rank.py")
    # three steps accumulate for an update, and the epoch ends in a shorter group
    accumulating = {"train_dataloader.batch_size": 2, "optim_wrapper.accumulative_counts": 3}
    options = tiny(**{"train_cfg.max_epochs": 1, **accumulating})
    command = [sys.executable, script, DEMO, "--work-dir", work, "--data-root", horses, "--launcher", launcher]
    command += ["--init", work / "best.pth", "--cfg-options", *options]
    processes = []
    for rank in "01":
        # the script names its files by this; training itself must not need it
        told = TOLD[launcher](rank, str(os.getpid()))
        environment = {**os.environ, "EQUISTERA_TEST_DUMP": str(tmp_path), "EQUISTERA_TEST_RANK": rank, **told}
        processes.append(
            subprocess.Popen(
                list(map(str, command)),
                env=environment,
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    said = [process.communicate(timeout=1800) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said[0][1][-2000:] + said[1][1][-2000:]
    # one speaks, both write to the same new folder
    begun = work.with_name(f"{work.name}-2")
    assert [f"{begun} is for this run" in out for out, _ in said] == [True, False]
    assert "batch 2 x 2 processes" in said[0][0]
    assert f"weights  {work / 'best.pth'}" in said[0][0]
    # 16 animals in steps of 2 x 2
    assert json.loads((begun / "run.json").read_text())["steps_per_epoch"] == 4
    assert "12 (batch 2 x 2 processes x 3 steps)" in str(checkpoint.load(begun / "latest.pth")["meta"]["fingerprint"])
    first, second = (checkpoint.load(tmp_path / f"epoch1_rank{rank}.pth") for rank in (0, 1))
    assert checkpoint.equal(first, second)
    assert not checkpoint.equal(first, checkpoint.load(work / "best.pth")["state_dict"])
