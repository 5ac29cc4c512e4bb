"""benchmarks/gpu.sh without a GPU: it all runs, and a part that fails is named."""

import os
import subprocess
from pathlib import Path

import pytest

from equistera.files import read_json

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.sh"
SPEED = [f"{what}_{batch}" for what in ("step", "train", "data", "compiled") for batch in (16, 64)]
PARTS = [*SPEED, "infer", "epochs", "demo", "exact", "parity"]


@pytest.fixture
def measure(tmp_path):
    def run(*words):
        command = ["bash", str(SCRIPT), "--device", "cpu", "--short", "--minutes", "30", "--out", str(tmp_path), *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
        rows = (tmp_path / "results.md").read_text().splitlines()[2:]
        table = {row.split(" | ")[0].strip("| "): row.split(" | ")[-1].strip("| ") for row in rows}
        return done, read_json(tmp_path / "results.json"), table

    return run


def test_a_part_that_fails_is_named_and_the_rest_stands(measure, tmp_path):
    (tmp_path / "demo").write_text("in the way of a folder")
    done, results, table = measure("--parts", "demo", "parity", "data_16")
    assert done.returncode == 1
    assert "error: not measured: demo" in done.stderr
    assert "demo: " in done.stdout
    assert "FAILED" in done.stdout
    assert list(results["parts"]) == list(table) == ["demo", "parity", "data_16"]
    assert results["machine"].endswith("cpu")
    assert "tools/make_demo_data.py ended with" in results["parts"]["demo"]["failed"]
    assert table["demo"].startswith("failed: tools/make_demo_data.py ended with")
    assert results["parts"]["parity"] == [{"model": "demo_rtmpose_t", "apart": 0.0}]
    (case,) = results["parts"]["data_16"]
    assert case["rates"]["ours"]["median"] > 0
    assert "stock" in table["data_16"]


def test_what_there_was_no_time_for_is_named(measure):
    done, results, table = measure("--minutes", "0")
    assert done.returncode == 1
    assert set(results["parts"]) == set(table) == set(PARTS)
    assert set(table.values()) == {"failed: not run: 0 minutes were over"}


def _numbers(value):
    if isinstance(value, dict | list):
        return [number for each in (value.values() if isinstance(value, dict) else value) for number in _numbers(each)]
    return [value] if isinstance(value, int | float) else []


@pytest.mark.slow
def test_all_of_it_runs(measure):
    done, results, table = measure()
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(results["parts"]) == set(table) == set(PARTS)
    for name, result in results["parts"].items():
        assert _numbers(result), name
        assert any(character.isdigit() for character in table[name]), name
    assert results["parts"]["exact"]["found after kill -9"] == ["epoch_1.pth"]
