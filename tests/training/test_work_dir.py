"""The folder of a run: what is moved aside, and that two runs never write to one folder."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from equistera.errors import UserError
from equistera.training import work_dir as work_dirs

ELSEWHERE = Path("/nowhere/program")


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"of {name}")
    return folder


def names_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.mark.parametrize("sign", ["run.json", "best.pth", "latest.pth", "epoch_12.pth", "step_480.pth"])
def test_whatever_a_run_would_write_over_is_moved_aside(tmp_path, sign):
    fill(tmp_path, sign, "notes.txt", "20260101_120000/log.txt")
    aside = work_dirs.set_aside(tmp_path, [])
    assert names_in(tmp_path) == {aside.name}
    assert names_in(aside) == {sign, "notes.txt", "20260101_120000"}
    assert (aside / sign).read_text() == f"of {sign}"


def test_a_folder_without_a_run_stays_as_it_is(tmp_path):
    fill(tmp_path, "rtmpose-m_pretrained.pth", "notes.txt")
    assert work_dirs.set_aside(tmp_path, []) is None
    assert names_in(tmp_path) == {"rtmpose-m_pretrained.pth", "notes.txt"}


def test_what_the_new_run_reads_stays_and_so_do_folders_of_other_runs(tmp_path):
    work = fill(
        tmp_path, "run.json", "data/images/a.jpg", "crops/a.crops", "seed1/run.json", "seed2/best.pth", "test/a"
    )
    aside = work_dirs.set_aside(work, [work / "data" / "images", work / "crops"])
    assert names_in(work) == {"data", "crops", "seed1", "seed2", aside.name}
    assert names_in(aside) == {"run.json", "test"}


def test_two_runs_within_a_second_are_both_kept(tmp_path):
    asides = [work_dirs.set_aside(fill(tmp_path, "run.json"), []) for _ in range(3)]
    assert names_in(tmp_path) == {aside.name for aside in asides}
    assert all((aside / "run.json").is_file() for aside in asides)


def test_the_program_is_never_moved(tmp_path):
    work = fill(tmp_path, "best.pth", "project/tools/train.py")
    for program in (work, work / "project"):
        with pytest.raises(UserError, match="and the program itself"):
            work_dirs.check(work, program)
    work_dirs.check(work, ELSEWHERE)
    assert names_in(work) == {"best.pth", "project"}


def test_files_are_followed_to_where_they_were_moved(tmp_path):
    work = fill(tmp_path / "work", "best.pth", "earlier_1/best.pth")
    other = fill(tmp_path, "other.pth") / "other.pth"
    aside = work_dirs.set_aside(work, [])
    assert work_dirs.followed(work / "best.pth", work, aside) == aside / "best.pth"
    for path in (work / "earlier_1" / "best.pth", other):
        assert work_dirs.followed(path, work, aside) == path


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
