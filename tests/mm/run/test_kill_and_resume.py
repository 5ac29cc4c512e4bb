"""The short version of benchmarks/kill_and_resume.py: kill -9 at a random moment and within a save."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "kill_and_resume.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_runs_end_as_the_one_that_was_never_killed(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--runs", "2", "--folder", str(tmp_path / "runs")],
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "2 of 2 killed and resumed runs end with weights" in done.stdout
    assert "  1  moment" in done.stdout
    assert "  2  save" in done.stdout
