"""tools/slurm/: the templates are sound shell and do what they say, with stubs in Slurm's place."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from equistera import PROJECT

TEMPLATES = PROJECT / "tools" / "slurm"
DEMO = "configs/demo_rtmpose_t.py"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Slurm runs on Linux")

STUBS = {
    # a process for each node, told which it is; a signal goes to all of them, as srun forwards it
    "srun": """
        pids=()
        for ((node = 0; node < ${SLURM_JOB_NUM_NODES:-1}; node++)); do
          SLURM_NODEID=$node SLURM_PROCID=$node "$@" &
          pids+=($!)
        done
        trap 'kill -TERM "${pids[@]}"' TERM
        code=0
        for pid in "${pids[@]}"; do
          while true; do
            wait "$pid" && one=0 || one=$?
            kill -0 "$pid" 2>/dev/null || break
          done
          ((code)) || code=$one
        done
        exit $code
    """,
    "scontrol": """
        [[ $1 == show ]] && { echo 127.0.0.1; echo 127.0.0.2; exit; }
        echo "$*" >>"$STUB_LOG"
    """,
}


@pytest.fixture
def job(tmp_path):
    """Starts a template as Slurm would: in the folder that it was submitted in, a copy of it elsewhere."""
    stubs = tmp_path / "stubs"
    stubs.mkdir()
    for name, text in STUBS.items():
        (stubs / name).write_text(f"#!/usr/bin/env bash\n{text}")
        (stubs / name).chmod(0o755)
    spool = tmp_path / "slurm_script"

    def start(template, *words, **variables):
        shutil.copy(TEMPLATES / template, spool)
        environment = {
            **os.environ,
            "PATH": f"{stubs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "STUB_LOG": str(tmp_path / "scontrol.txt"),
            "SLURM_JOB_ID": "4711",
            **variables,
        }
        return subprocess.Popen(
            ["bash", spool, *map(str, words)],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def test_templates_are_sound():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        ["shellcheck", "-x", *sorted(TEMPLATES.glob("*.sh"))], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("template", ["array.sh", "requeue.sh", "nodes.sh"])
def test_each_says_how_it_is_submitted_and_what_slurm_is_to_do(template):
    text = (TEMPLATES / template).read_text()
    assert f"tools/slurm/{template} " in text
    for line in ("--requeue", "--signal=B:USR1@180", "--open-mode=append"):
        assert f"#SBATCH {line}\n" in text
    # more than the minute in which a run that is told to stop finishes its epoch
    assert int(re.search(r"USR1@(\d+)", text)[1]) > 120


def test_a_task_of_an_array_gets_its_number(job, tmp_path):
    tool = tmp_path / "tool.py"
    tool.write_text("import sys; print(sys.argv[1:])")
    started = job("array.sh", tool, "a config.py", "--only", "TASK", "--x", SLURM_ARRAY_TASK_ID="3")
    assert started.communicate(timeout=60)[0] == "['a config.py', '--only', '3', '--x']\n"
    assert started.returncode == 0
    tool.write_text("raise SystemExit(5)")
    assert job("array.sh", tool).wait(timeout=60) == 5
    assert not (tmp_path / "scontrol.txt").exists()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_job_that_is_told_lets_the_tool_end_and_is_queued_again(number, job, tmp_path):
    tool = tmp_path / "tool.py"
    tool.write_text(
        "import signal, sys, time\n"
        "def save(number, frame): time.sleep(0.5); print('saved', flush=True); sys.exit(128 + number)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('begun', flush=True)\ntime.sleep(60)\n"
    )
    started = job("array.sh", tool)
    assert started.stdout.readline() == "begun\n"
    started.send_signal(number)
    assert started.communicate(timeout=60)[0] == "saved\n"
    assert started.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 4711\n"


def test_a_training_that_is_preempted_goes_on_when_it_is_queued_again(job, horses, tiny, tmp_path):
    options = tiny(**{"train_cfg.max_epochs": 60, "train_cfg.val_interval": 60})
    words = [DEMO, "--work-dir", tmp_path / "run", "--data-root", horses, "--cfg-options", *options]
    started = job("requeue.sh", *words)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "run").glob("epoch_*.pth")):
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.1)
    started.send_signal(signal.SIGUSR1)
    log = started.communicate(timeout=300)[0]
    assert started.returncode == 128 + signal.SIGTERM, log
    assert "stopped by SIGTERM" in log
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 4711\n"
    again = job("requeue.sh", *words)
    log = again.communicate(timeout=600)[0]
    assert again.returncode == 0, log
    assert "resumed after" in log


@pytest.mark.slow
def test_two_nodes_are_one_run(job, horses, tiny, tmp_path):
    words = [DEMO, "--work-dir", tmp_path / "run", "--data-root", horses, "--cfg-options", *tiny()]
    nodes = {"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_ID": str(os.getpid())}
    started = job("nodes.sh", *words, **nodes)
    log = started.communicate(timeout=600)[0]
    assert started.returncode == 0, log
    assert "batch 4 x 2 processes" in log
    assert (tmp_path / "run" / "best.pth").is_file()
