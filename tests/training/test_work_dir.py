"""The folder of a run: each has one of its own, and two never write to one at a time."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from equistera.errors import UserError
from equistera.training import work_dir as work_dirs


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"of {name}")
    return folder


@pytest.mark.parametrize("sign", ["run.json", "best.pth", "latest.pth", "epoch_12.pth"])
def test_a_run_that_begins_has_a_folder_of_its_own(tmp_path, sign):
    work = tmp_path / "run"
    assert work_dirs.fresh(work) == work_dirs.newest(work) == work
    # what no run writes keeps no run out
    fill(work, "rtmpose-m_pretrained.pth", "notes.txt", "seed1/run.json")
    assert work_dirs.fresh(work) == work
    fill(work, sign)
    assert work_dirs.fresh(work) == tmp_path / "run-2"
    assert work_dirs.newest(work) == work
    fill(tmp_path / "run-2", sign)
    assert work_dirs.fresh(work) == tmp_path / "run-3"
    assert work_dirs.newest(work) == tmp_path / "run-2"


@pytest.fixture
def another_run(tmp_path):
    """A process that runs in ``tmp_path``, with a child that outlives it as a loader's worker may."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    code = (
        "import os, sys, time; from pathlib import Path; from equistera.training import work_dir\n"
        "with work_dir.held(Path(sys.argv[1])):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(1800)\n"
        "    print('holds', flush=True); time.sleep(1800)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout.readline() == "holds\n"
    yield process
    process.stdout.close()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_second_run_is_refused_until_the_first_is_gone_even_if_its_workers_are_not(tmp_path, another_run):
    for attempt in (lambda: work_dirs.held(tmp_path).__enter__(), lambda: work_dirs.refuse_if_running(tmp_path)):
        with pytest.raises(UserError, match=f"a run is going on in .*: process {another_run.pid} on ") as caught:
            attempt()
        assert "--work-dir names another" in caught.value.hint
    another_run.kill()
    another_run.wait()
    work_dirs.refuse_if_running(tmp_path)
    with work_dirs.held(tmp_path):
        pass
    with work_dirs.held(tmp_path):
        pass


@pytest.mark.skipif(work_dirs.fcntl is None, reason="Windows always has locks")
def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch, capsys):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(work_dirs.fcntl, "lockf", no_locks)
    with work_dirs.held(tmp_path):
        pass
    assert "cannot be locked (No locks available)" in capsys.readouterr().err
