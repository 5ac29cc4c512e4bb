"""The processes of one run: which this is, how many there are, and what starts them.

``python -m torch.distributed.launch`` says so in environment variables that everything here reads; what Slurm and Open
MPI say is translated into them.
"""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping, MutableMapping, Sequence

from equistera.errors import UserError

#: Set in processes of :func:`start`.
OWN = "EQUISTERA_STARTED"
#: Seconds in which a process that was told to end may save what it has.
PATIENCE = 30
#: Seconds that processes which read the same files may need longer than another to find the same error.
ECHO = 10

#: What each launcher sets in every process: the process, how many, and how a person starts two.
_SAYS = {
    "pytorch": ("RANK", "WORLD_SIZE", "python -m torch.distributed.launch --nproc_per_node=2"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS", "srun --ntasks=2 python"),
    "mpi": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "mpirun -n 2 python"),
}


def rank() -> int:
    """Which process of the run this is, from 0."""
    return _number("RANK", 0)


def world_size() -> int:
    """Number of processes that a launcher started."""
    return _number("WORLD_SIZE", 1)


def processes_here() -> int:
    """Number of the run's processes on this machine."""
    return _number("LOCAL_WORLD_SIZE", world_size())


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name) or str(otherwise)
    if not text.isdecimal():
        raise UserError(
            f"{name}={text}: expected a number, as a launcher sets it", hint=f"unset {name}, to train in one process"
        )
    return int(text)


def join(launcher: str, environment: MutableMapping[str, str] = os.environ) -> str:
    """Makes the environment say what torch's launcher would, whichever launcher started this process.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``: ``--launcher``.
        environment: Changed for Slurm and Open MPI.

    Returns:
        The launcher for MMEngine: ``pytorch`` or ``none``.

    Raises:
        UserError: This process was not started by the launcher, or by one that was not named.
    """
    if launcher == "none":
        count = environment.get("WORLD_SIZE") or "1"
        if count != "1":
            raise UserError(
                f"a launcher started this process as one of {count} (WORLD_SIZE), but --launcher is not given",
                hint="--launcher pytorch; or, to train in this process alone, unset WORLD_SIZE",
            )
        return "none"
    process, count, start = _SAYS[launcher]
    missing = [name for name in (process, count) if not environment.get(name, "").isdigit()]
    if missing:
        raise UserError(
            f"--launcher {launcher}: this process was not started by it: {' and '.join(missing)} not set",
            hint=f"Start it so: {start} tools/train.py ... --launcher {launcher}",
        )
    if launcher != "pytorch":
        environment.update({"slurm": _of_slurm, "mpi": _of_open_mpi}[launcher](environment))
        environment["RANK"], environment["WORLD_SIZE"] = environment[process], environment[count]
        if _visible_gpus(environment) == 1:
            # the launcher gave each process a GPU of its own, which is the first that it sees
            environment["LOCAL_RANK"] = "0"
    return "pytorch"


def start(count: int, launcher: str, command: Sequence[str]) -> int:
    """Runs a command in several processes of this machine, as torch's launcher would, but for its traceback.

    Signals are handed on. When a process fails the others are told to end.

    Args:
        count: Processes.
        launcher: ``--launcher``, which must not have started this one.
        command: A Python script and its arguments.

    Returns:
        The exit code of the one that failed first; 0 if none did.

    Raises:
        UserError: Another launcher is named.
    """
    if launcher != "none":
        raise UserError(
            f"--processes {count} starts the processes itself, --launcher {launcher} says that something else does",
            hint="Leave one of them out",
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = [
        subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, OWN: "1", **{k: str(v) for k, v in {**shared, "RANK": i, "LOCAL_RANK": i}.items()}},
        )
        for i in range(count)
    ]

    def hand_on(number: int, frame: object = None) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(number)

    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hand_on)
    failed, killed_at = 0, math.inf
    while None in (codes := [child.poll() for child in children]):
        if not failed and any(codes):
            failed = next(filter(None, codes))
            hand_on(signal.SIGTERM)
            killed_at = time.monotonic() + PATIENCE
        if time.monotonic() > killed_at:
            hand_on(getattr(signal, "SIGKILL", signal.SIGTERM))
        time.sleep(0.05)
    failed = failed or next(filter(None, codes), 0)
    return 128 - failed if failed < 0 else failed


def let_the_first_speak() -> None:
    """Waits, in all processes of a run but the first, while an error is likely that one's as well.

    It says so and fails, whereupon whoever started the processes ends the others; an error of one process alone is
    said by that one after :data:`ECHO` seconds.
    """
    if os.environ.get("RANK", "0") not in ("", "0"):
        time.sleep(ECHO)


def start_command(launcher: str, python: str, environment: Mapping[str, str] = os.environ) -> list[str]:
    """The words before ``tools/train.py`` that start a run again as this one was started.

    Args:
        launcher: See :func:`join`.
        python: The interpreter.
        environment: What the launcher said.
    """
    count, here = environment.get("WORLD_SIZE", "1"), environment.get("LOCAL_WORLD_SIZE", "1")
    nodes = environment.get("GROUP_WORLD_SIZE", "1")
    torch = [python, "-m", "torch.distributed.launch", f"--nproc_per_node={here}"]
    if nodes != "1":
        torch += [f"--nnodes={nodes}", f"--node_rank={environment.get('GROUP_RANK', '0')}"]
        torch += [f"--{name}={environment[name.upper()]}" for name in ("master_addr", "master_port")]
    return {
        "none": [python],
        "pytorch": torch,
        "slurm": ["srun", f"--ntasks={count}", python],
        "mpi": ["mpirun", "-n", count, python],
    }[launcher]


def _of_slurm(environment: Mapping[str, str]) -> dict[str, str]:
    nodes = next((environment[name] for name in ("SLURM_STEP_NODELIST", "SLURM_NODELIST") if environment.get(name)), "")
    one_node = environment.get("SLURM_NNODES", "1") == "1"
    job = f"slurm {environment.get('SLURM_JOB_ID')}.{environment.get('SLURM_STEP_ID')}"
    return {
        "LOCAL_RANK": environment.get("SLURM_LOCALID", environment["SLURM_PROCID"] if one_node else "0"),
        "LOCAL_WORLD_SIZE": _slurm_tasks_here(environment, one_node),
        "MASTER_ADDR": environment.get("MASTER_ADDR") or ("127.0.0.1" if one_node else first_host(nodes)),
        "MASTER_PORT": environment.get("MASTER_PORT") or port_of(job),
    }


def _slurm_tasks_here(environment: Mapping[str, str], one_node: bool) -> str:
    if one_node:
        return environment["SLURM_NTASKS"]
    # such as 4(x2),3: two nodes with four, one with three
    listed = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment.get("SLURM_NTASKS_PER_NODE", "1")
    tasks = [n for n, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", listed) for _ in range(int(times or 1))]
    return tasks[min(int(environment.get("SLURM_NODEID", 0)), len(tasks) - 1)] if tasks else "1"


def _of_open_mpi(environment: Mapping[str, str]) -> dict[str, str]:
    count = environment["OMPI_COMM_WORLD_SIZE"]
    here = environment.get("OMPI_COMM_WORLD_LOCAL_SIZE", count)
    address = environment.get("MASTER_ADDR") or ("127.0.0.1" if here == count else None)
    if address is None:
        raise UserError(
            "--launcher mpi: the processes are on several machines and MASTER_ADDR, the one of the first, is not set",
            hint="mpirun -x MASTER_ADDR=HOST -n N python tools/train.py ... --launcher mpi",
        )
    job = environment.get("PMIX_NAMESPACE") or environment.get("OMPI_MCA_ess_base_jobid")
    return {
        "LOCAL_RANK": environment.get("OMPI_COMM_WORLD_LOCAL_RANK", environment["OMPI_COMM_WORLD_RANK"]),
        "LOCAL_WORLD_SIZE": here,
        "MASTER_ADDR": address,
        "MASTER_PORT": environment.get("MASTER_PORT") or port_of(f"mpi {job}"),
    }


def first_host(nodes: str) -> str:
    """The first machine of a list as Slurm writes it, such as ``gpu[03-05,9],login1``."""
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", nodes).split(",")[0]


def port_of(job: str) -> str:
    """A port on which the processes of a job meet: the same in each of them, most likely another one for other jobs."""
    return str(20000 + zlib.crc32(job.encode()) % 10000)


def _visible_gpus(environment: Mapping[str, str]) -> int | None:
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    return None if visible is None else len([name for name in visible.split(",") if name])
