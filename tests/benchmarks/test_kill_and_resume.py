"""The short versions of benchmarks/kill_and_resume.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "kill_and_resume.py"
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def kill(tmp_path):
    def run(*arguments):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *arguments, "--folder", str(tmp_path / "runs")],
            env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=1800,
        )
        assert done.returncode == 0, done.stdout + done.stderr[-3000:]
        return done.stdout

    return run


def test_killed_runs_end_as_the_one_that_was_never_killed(kill):
    told = kill("--runs", "2")
    assert "2 of 2 killed and resumed runs end with weights" in told
    assert "  1  moment" in told
    assert "  2  save" in told


def test_a_killed_tool_leaves_nothing_wrong(kill):
    assert [line.split()[:2] for line in kill("--kills", "3", "--only", "labelling").splitlines()[1:]] == [
        ["labelling", "labelstudio"],
        ["labelling", "picture"],
    ]
