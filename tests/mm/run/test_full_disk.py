"""A disk that is full: nothing is half written, earlier checkpoints stay whole, the run goes on where it can."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from equistera.mm.network import checkpoint
from equistera.mm.run.resume import load_whole

SCRIPT = Path(__file__).with_name("on_a_full_disk.py")
PROJECT = Path(__file__).resolve().parents[3]


def small_disks() -> bool:
    """Whether an ordinary user may mount a file system of their own here."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-Urm", "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True).returncode == 0


@pytest.fixture
def run(horses, tiny, tmp_path):
    """Trains in a process of its own; what the run left is copied to a folder of the ordinary disk."""

    def start(how, epochs):
        work, left = tmp_path / "work", tmp_path / "left"
        work.mkdir()
        options = tiny(**{"default_hooks.checkpoint.interval": 1, "default_hooks.checkpoint.keep": 3})
        command = [sys.executable, SCRIPT, how, epochs, work, "configs/demo_rtmpose_t.py", "--data-root", horses]
        command = [str(word) for word in [*command, "--cfg-options", *options]]
        if how == "disk":
            mount = 'mount -t tmpfs -o size=64m x "$0"; "$@"; code=$?; cp -a "$0" "$OUT"; exit $code'
            command = ["unshare", "-Urm", "sh", "-c", mount, str(work), *command]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OUT": str(left)}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=1800)
        return done, left if how == "disk" else work

    return start


#: A disk of its own where one may be had, else a limit of the size of files: what the system says then.
HOW, REASON = ("disk", "No space left on device") if small_disks() else ("limit", "File too large")


def test_a_run_goes_on_and_saves_when_there_is_room_again(run, trained):
    done, work = run(HOW, "1,2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"epoch_2.pth: {REASON}" in done.stderr
    assert "Training goes on and tries again at the next save." in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert sorted(path.name for path in work.glob("*.pth")) == ["best.pth", "epoch_3.pth", "latest.pth"]
    assert not list(work.glob(".*.part"))
    straight = checkpoint.load(trained / "epoch_3.pth")["state_dict"]
    saved = load_whole(work / "latest.pth")
    assert all(straight[name].equal(saved["state_dict"][name]) for name in straight)
    # what could not be saved as the best does not count as the best
    assert checkpoint.load(work / "best.pth")["meta"]["best_epoch"] == saved["meta"]["best_epoch"] == 3


def test_a_last_save_that_fails_is_an_error_and_leaves_the_others_whole(run):
    done, work = run(HOW, "3")
    assert done.returncode == 1, done.stdout + done.stderr
    (message,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "cannot write checkpoint" in message
    assert f"epoch_3.pth: {REASON}" in message
    assert "MB free" in message
    assert "Traceback" not in done.stderr, done.stderr
    assert not list(work.glob(".*.part"))
    assert not (work / "epoch_3.pth").exists()
    assert (work / "latest.pth").read_bytes() == (work / "epoch_2.pth").read_bytes()
    assert load_whole(work / "epoch_2.pth")["meta"]["epoch"] == 2
