"""Tools in a process that inherited what notebooks, clusters and containers set."""

import io
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from equistera import cli, environment
from equistera.errors import UserError

PROJECT = Path(__file__).resolve().parents[1]

DRAW = """
import sys
from equistera import cli
def main(argv):
    import warnings
    warnings.warn("a library's")
    from matplotlib.figure import Figure
    Figure().savefig(argv[0])
    import resource
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
sys.exit(cli.run(main))
"""


def test_a_notebooks_and_an_experiments_variables_do_not_reach_the_work(tmp_path):
    inherited = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONWARNINGS": "error",
        "PYTHONPATH": str(PROJECT),
    }
    command = f"ulimit -Sn 64; exec {sys.executable} -c '{DRAW}' {tmp_path / 'a.png'}"
    done = subprocess.run(
        ["bash", "-c", command.replace("library's", "library")],
        env={**os.environ, **inherited},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").stat().st_size
    # the soft limit of open files was raised
    assert int(done.stdout) > 64


def test_threads_that_wait_sleep_soon_unless_the_user_says_how_they_wait():
    ours, own, policy = {}, {"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "ACTIVE"}
    for inherited in (ours, own, policy):
        environment.prepare(inherited)
    assert int(ours["GOMP_SPINCOUNT"]) < 300_000
    assert own["GOMP_SPINCOUNT"] == "7"
    assert "GOMP_SPINCOUNT" not in policy


AGAIN = """
import resource
import numpy as np
from equistera import environment
environment.prepare()
np.ones(64 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(64 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another malloc decides for itself")
@pytest.mark.parametrize("own", [{}, {"MALLOC_TRIM_THRESHOLD_": "131072"}])
def test_freed_memory_is_kept_unless_the_user_says_what_malloc_does(own):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    printed = subprocess.check_output([sys.executable, "-c", AGAIN], env=inherited | own, text=True, timeout=1800)
    faults, pages = int(printed), (64 << 20) // 4096
    # where it went back to the system, each page (of 4 kB, or of 2 MB where the system gives such) is cleared anew
    assert faults >= pages // 512 if own else faults < pages // 512


def test_closed_streams_are_not_the_next_files(tmp_path):
    code = (
        "import os, sys\n"
        "from equistera import cli\n"
        "def main(argv):\n"
        "    with open(argv[0], 'w') as file:\n"
        "        os.write(1, b'noise of a library'); os.write(2, b'noise')\n"
        "        print('said', sys.stdout.isatty()); print('said', file=sys.stderr)\n"
        "        file.write('content')\n"
        "sys.exit(cli.run(main))"
    )
    out = tmp_path / "out"
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "-", sys.executable, "-c", code, out],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        timeout=1800,
    )
    assert done.returncode == 0
    assert out.read_text() == "content"


def test_another_version_of_a_package_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "mmcv").mkdir()
    (tmp_path / "mmcv" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    environment.prepare({})
    with pytest.raises(UserError, match="mmcv from") as refused:
        environment.prepare({"PYTHONPATH": f"{PROJECT}{os.pathsep}{tmp_path}"})
    assert "unset PYTHONPATH" in str(refused.value)
    assert len(refused.value.problems) == 1


def test_a_torch_that_does_not_start_is_one_sentence():
    code = (
        "import sys\n"
        "from equistera import cli\n"
        "sys.modules['torch'] = None  # as where a library of it is missing\n"
        "def main(argv):\n"
        "    import equistera.mm\n"
        "sys.exit(cli.run(main))"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 1
    assert done.stderr.startswith("error: torch does not start: ModuleNotFoundError")
    assert "Traceback" not in done.stderr


class Broken(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error

    flush = write_through = lambda self: self.write("")


def work(argv):
    print("first")
    print("second", flush=True)
    argv.append("done")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BrokenPipeError(32, "Broken pipe"), 0),
        (OSError(5, "Input/output error"), 0),
        (ValueError("I/O operation on closed file"), 0),
        (OSError(28, "No space left on device"), 1),
    ],
)
def test_the_work_is_done_whatever_becomes_of_the_output(error, code, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Broken(error))
    monkeypatch.setattr(sys.stdout, "fileno", lambda: os.open(os.devnull, os.O_WRONLY), raising=False)
    did = []
    assert cli.run(work, did) == code
    assert did == ["done"]
    said = capsys.readouterr().err
    assert said == ("error: the output is not whole: No space left on device\n" if code else "")


def test_a_real_pipe_without_a_reader(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        did = []
        assert cli.run(work, did) == 0
        # what libraries and worker processes write there goes nowhere
        os.write(write, b"noise")
    assert did == ["done"]
