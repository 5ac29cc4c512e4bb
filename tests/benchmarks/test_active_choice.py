"""benchmarks/active_choice.py: its table, and, slowly, all of it on tiny runs."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "active_choice.py"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return runpy.run_path(str(SCRIPT))


def test_the_table_has_paired_differences(bench):
    def run(arm, seed, pictures, score):
        return {
            "arm": arm,
            "seed": seed,
            "pictures": pictures,
            "AP": score,
            "AP50": 1,
            "PCK@0.1": score,
            "median_px": 9,
        }

    results = [run("first", seed, 60, 0.3) for seed in range(3)]
    for seed in range(3):
        results += [run("picked", seed, 160, 0.5 + 0.1 * seed), run("random", seed, 160, 0.4 + 0.1 * seed)]
        results.append(run("random more", seed, 210, 0.5 + 0.1 * seed + 0.03 * (seed - 1)))
    table = bench["table_of"](results)
    assert "| picked | 160 | 0.600 | 0.500, 0.600, 0.700 |" in table
    assert "| picked - random | +0.100 (+0.100 to +0.100) |" in table
    # t for two degrees of freedom is 4.303, the standard error 0.03 / sqrt(3)
    assert "| picked - random more | +0.000 (-0.075 to +0.075) |" in table.replace("-0.000", "+0.000")


def test_arms_have_equal_pictures_but_the_larger_one(bench):
    settings = bench["Settings"]()
    assert [settings.count(arm) for arm in settings.arms] == [100, 100, 150]


@pytest.mark.slow
def test_all_of_it_runs_and_goes_on(tmp_path):
    for _ in range(2):
        command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--short"]
        done = subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "| picked - random more |" in done.stdout
    # nothing was trained or picked again
    assert "picked in" not in done.stdout
