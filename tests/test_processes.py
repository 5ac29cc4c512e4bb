import os
import subprocess
import sys
from pathlib import Path

import pytest

from equistera import processes
from equistera.errors import UserError
from equistera.processes import first_host, join, port_of, rank, start_command, world_size

SLURM = {"SLURM_PROCID": "5", "SLURM_NTASKS": "7", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "12", "SLURM_STEP_ID": "0"}
MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR")


def joined(launcher, environment):
    # what tools/train.py leaves
    environment = {"LOCAL_RANK": "0", **environment}
    assert join(launcher, environment) == "pytorch"
    assert 20000 <= int(environment["MASTER_PORT"]) < 30000
    return [environment[name] for name in NAMES]


def test_slurm_on_one_machine():
    assert joined("slurm", SLURM) == ["5", "7", "1", "7", "127.0.0.1"]


@pytest.mark.parametrize(("node", "here"), [("0", "4"), ("1", "3")])
def test_slurm_on_two_machines(node, here):
    more = {"SLURM_NNODES": "2", "SLURM_NODEID": node, "SLURM_NODELIST": "gpu[03-04]"}
    for listed in ({"SLURM_STEP_TASKS_PER_NODE": "4,3"},):
        assert joined("slurm", {**SLURM, **more, **listed}) == ["5", "7", "1", here, "gpu03"]
    assert joined("slurm", {**SLURM, **more, "SLURM_NTASKS_PER_NODE": "4"})[3] == "4"
    assert joined("slurm", {**SLURM, **more, "SLURM_STEP_TASKS_PER_NODE": "5(x2)"})[3] == "5"
    assert joined("slurm", {**SLURM, **more, "MASTER_ADDR": "10.0.0.1"})[4] == "10.0.0.1"


def test_a_gpu_of_its_own_is_the_first_that_a_process_sees():
    assert joined("slurm", {**SLURM, "CUDA_VISIBLE_DEVICES": "3"})[2] == "0"
    assert joined("slurm", {**SLURM, "CUDA_VISIBLE_DEVICES": "0,1"})[2] == "1"


def test_open_mpi():
    assert joined("mpi", MPI) == ["1", "2", "1", "2", "127.0.0.1"]
    apart = {**MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}
    with pytest.raises(UserError, match="MASTER_ADDR, the one of the first, is not set"):
        join("mpi", dict(apart))
    assert joined("mpi", {**apart, "MASTER_ADDR": "node1"}) == ["1", "2", "0", "1", "node1"]


def test_torchs_own_launcher_needs_no_translation():
    environment = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}
    before = dict(environment)
    assert join("pytorch", environment) == "pytorch"
    assert environment == before
    assert join("none", {}) == join("none", {"WORLD_SIZE": "1"}) == "none"


@pytest.mark.parametrize(
    ("launcher", "finding", "hint"),
    [
        ("pytorch", "RANK and WORLD_SIZE not set", "python -m torch.distributed.launch --nproc_per_node=2 tools/train"),
        ("slurm", "SLURM_PROCID and SLURM_NTASKS not set", "srun --ntasks=2 python tools/train.py"),
        ("mpi", "OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE not set", "mpirun -n 2 python tools/train.py"),
    ],
)
def test_a_process_that_its_launcher_did_not_start(launcher, finding, hint):
    with pytest.raises(UserError, match=finding) as caught:
        join(launcher, {"LOCAL_RANK": "0"})
    assert hint in caught.value.hint


def test_a_launcher_that_was_not_named():
    with pytest.raises(UserError, match="as one of 2"):
        join("none", {"RANK": "1", "WORLD_SIZE": "2"})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu1", "gpu1"),
        ("gpu[03-05,9],login1", "gpu03"),
        ("a,b", "a"),
        ("r[1-2]n[7,9]", "r1n7"),
        ("n[4,8]-ib", "n4-ib"),
    ],
)
def test_the_first_machine_of_slurms_list(nodes, first):
    assert first_host(nodes) == first


def test_jobs_meet_at_ports_of_their_own():
    assert port_of("slurm 12.0") == port_of("slurm 12.0") != port_of("slurm 13.0")


def test_a_run_is_started_again_as_it_was():
    environment = {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    assert start_command("none", "python3", environment) == ["python3"]
    assert start_command("pytorch", "python3", environment)[-1] == "--nproc_per_node=2"
    nodes = {"GROUP_WORLD_SIZE": "2", "GROUP_RANK": "1", "MASTER_ADDR": "node1", "MASTER_PORT": "29500"}
    assert start_command("pytorch", "python3", {**environment, **nodes})[3:] == [
        "--nproc_per_node=2", "--nnodes=2", "--node_rank=1", "--master_addr=node1", "--master_port=29500"
    ]  # fmt: skip
    assert start_command("slurm", "python3", environment) == ["srun", "--ntasks=4", "python3"]
    assert start_command("mpi", "python3", environment) == ["mpirun", "-n", "4", "python3"]


@pytest.mark.parametrize(("name", "ask"), [("RANK", rank), ("WORLD_SIZE", world_size)])
def test_a_number_that_is_none_is_named(name, ask, monkeypatch):
    monkeypatch.setenv(name, "")
    assert ask() == {"RANK": 0, "WORLD_SIZE": 1}[name]
    monkeypatch.setenv(name, "x")
    with pytest.raises(UserError, match=f"{name}=x: expected a number"):
        ask()


FAILS = """
import sys, time
from equistera import cli, processes
from equistera.errors import UserError

def main(argv):
    if argv[0] in ("both", str(processes.rank())):
        raise UserError(f"found nothing below {processes.world_size()} processes")
    time.sleep(1800 if argv[0] == "1" else 0)

sys.exit(cli.run(main))
"""


@pytest.mark.parametrize(("who", "code", "said"), [("both", 1, 1), ("1", 1, 1), ("none", 0, 0)])
def test_processes_that_we_start_say_an_error_once_and_without_a_traceback(tmp_path, who, code, said):
    script, starter = tmp_path / "fails.py", tmp_path / "starter.py"
    # waiting for the first process is not what is tried here
    script.write_text(FAILS.replace("def main", f"processes.ECHO = {0.2 if who == '1' else 60}\ndef main"))
    starter.write_text(
        "import sys; from equistera import processes; sys.exit(processes.start(2, 'none', sys.argv[1:]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, starter, script, who]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, env=environment)
    assert done.returncode == code
    assert done.stderr.count("error: found nothing below 2 processes") == said
    assert "Traceback" not in done.stderr


def test_two_things_that_start_the_processes_are_one_too_many():
    with pytest.raises(UserError, match="--processes 2 starts the processes itself, --launcher slurm says"):
        processes.start(2, "slurm", ["train.py"])
