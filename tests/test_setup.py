"""setup.sh decides before it installs: what it says with --dry-run, on machines made up by a PATH."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import equistera

SETUP = Path(__file__).parents[1] / "setup.sh"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="a bash script")


@pytest.fixture
def clone(tmp_path):
    """A folder with what setup.sh reads, no venv/, and a disk of its own with 95 GB free."""
    for name in ("setup.sh", "requirements.txt", "requirements-no-deps.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((SETUP.parent / name).read_bytes())
    (tmp_path / "bin").mkdir()
    put_disk(tmp_path, free_kb=100_000_000)
    return tmp_path


def put(clone, name, text):
    path = clone / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def put_disk(clone, free_kb):
    put(clone, "df", f"printf 'F B U A C M\\n/dev/x 9 9 {free_kb} 9%% /\\n'")


def run(clone, *arguments, **environment):
    path = {"PATH": f"{clone / 'bin'}:{os.environ['PATH']}", "PYTHON": sys.executable}
    return subprocess.run(
        ["bash", str(clone / "setup.sh"), *arguments],
        env={**os.environ, **path, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=1800,
    )


@pytest.mark.parametrize(
    ("gpu", "index"),
    [
        ("Tesla V100-SXM2-16GB, 535.104.05, 7.0", "cu126"),
        ("NVIDIA A100, 550.54.15, 8.0", "cu126"),
        ("Tesla V100-SXM2-16GB, 580.10, 7.0", "cu126"),
        ("NVIDIA H100, 580.82.07, 9.0", ""),
    ],
)
def test_an_old_gpu_or_driver_gets_the_cuda_12_build(clone, gpu, index):
    put(clone, "nvidia-smi", f'echo "{gpu}"')
    done = run(clone, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert ("too old for the default CUDA 13 build" in done.stdout) == bool(index)
    assert index in done.stdout
    assert not (clone / "venv").exists()


def test_a_broken_driver_counts_as_no_gpu(clone):
    put(clone, "nvidia-smi", "exit 9")
    assert "no NVIDIA GPU found" in run(clone, "--dry-run").stdout


def test_another_index_is_taken_as_it_is(clone):
    put(clone, "nvidia-smi", 'echo "Tesla V100, 535.1, 7.0"')
    done = run(clone, "--dry-run", "--torch-index", "https://example.org/whl/cpu")
    assert "torch from https://example.org/whl/cpu" in done.stdout


def test_python_too_old(clone):
    old = put(clone, "python3.6", 'if [ "$1" = --version ]; then echo "Python 3.6.9"; exit 0; fi; exit 1')
    done = run(clone, "--dry-run", PYTHON=str(old))
    assert done.returncode == 1
    assert done.stderr.strip() == f"error: PYTHON={old} is Python 3.6.9; Python 3.11 to 3.14 is needed"


def test_too_little_disk(clone):
    put_disk(clone, free_kb=1_048_576)
    done = run(clone, "--dry-run")
    assert done.returncode == 1
    assert "too little disk: 1 GB free" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_network_is_one_clear_line(clone):
    blocked = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    blocked |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
        "NO_PROXY": "",
        "no_proxy": "",
    }
    done = run(clone, **blocked)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no network")
    assert len(done.stderr.splitlines()) == 1
    assert not (clone / "venv" / ".made-from").exists()


def test_an_unknown_argument(clone):
    done = run(clone, "--fast")
    assert done.returncode == 2
    assert "unknown argument '--fast'" in done.stderr


def test_help(clone):
    assert "./setup.sh demo" in run(clone, "--help").stdout


def test_the_citation_names_this_version():
    citation = yaml.safe_load((SETUP.parent / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation.keys() >= {"cff-version", "message", "title", "authors", "version", "license"}
    assert (citation["version"], citation["type"]) == (equistera.__version__, "software")
    assert all(reference.keys() >= {"type", "title", "authors"} for reference in citation["references"])


def test_each_package_is_pinned_once_for_each_python():
    lines = (SETUP.parent / "requirements.txt").read_text().splitlines()
    asked = [line.split("#")[0].strip() for line in lines]
    pins = [re.sub("==[^;]*", "", line) for line in asked if line]
    assert len(set(pins)) == len(pins)


def test_a_demo_that_was_stopped_goes_on_where_it_is_tested(clone):
    done = clone / "done.txt"
    (clone / "venv/bin").mkdir(parents=True)
    # it only writes down what it is asked to do
    python = put(clone, "python", f'echo "$@" >> "{done}"; [ "$1" != -c ] || echo made')
    python.rename(clone / "venv/bin/python")
    (clone / "venv/.made-from").write_text("made\n")

    def trainings():
        ran = run(clone, "demo")
        assert ran.returncode == 0, ran.stderr
        lines = [line for line in done.read_text().splitlines() if line.startswith("tools/train.py")]
        done.unlink()
        return lines

    pose = "tools/train.py configs/demo_lite0.py --work-dir work_dirs/demo --amp --max-time 7m"
    detector = "tools/train.py configs/demo_rtmdet_lite0.py --work-dir work_dirs/demo_detector --amp --max-time 150s"
    assert trainings() == [pose, detector]
    (clone / "work_dirs/demo").mkdir(parents=True)
    assert trainings() == [f"{pose} --resume", detector]
    (clone / "work_dirs/demo_detector").mkdir()
    assert trainings() == [f"{pose} --resume", f"{detector} --resume"]
