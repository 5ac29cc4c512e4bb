"""benchmarks/unlabelled.py: its table, and, slowly, all of it on tiny runs."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "unlabelled.py"


def test_the_table_sets_each_arm_beside_all_labels(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    bench = runpy.run_path(str(SCRIPT))

    def run(arm, seed, mean, **more):
        return {"arm": arm, "seed": seed, "median": mean / 2, "mean": mean, **more}

    labels = {"taken": 90, "of": 100, "median": 1.0, "mean": 2.5}
    results = [run(bench["ALL"], seed, 4.0 + seed) for seed in range(2)]
    results += [run(bench["ONE"], seed, 5.4, labels=labels) for seed in range(2)]
    table = bench["table_of"](results)
    assert "| 58 | 2.25 | 4.50 | 4.00, 5.00 | 1.00 |  |  |" in table
    assert "| 29 + 29 by one | 2.70 | 5.40 | 5.40, 5.40 | 1.20 | 180 of 200 | 2.50 |" in table


@pytest.mark.slow
def test_all_of_it_runs_and_goes_on(tmp_path):
    for _ in range(2):
        command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--short"]
        done = subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "| 29 + 29 by one |" in done.stdout
    # nothing was trained again
    assert "seed 0," not in done.stdout
