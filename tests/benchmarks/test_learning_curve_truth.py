"""benchmarks/learning_curve_truth.py on a dozen pictures."""

import csv
import json
import runpy
from pathlib import Path

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "learning_curve_truth.py"


def in_this_process(command, changes, log):
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    return runpy.run_path(command[1])["main"](command[2:]) or 0


def test_what_was_said_before_stands_beside_what_came(horses, tmp_path, capsys):
    main = runpy.run_path(str(BENCHMARK))["main"]
    main(["--out", str(tmp_path), "--data-root", str(horses), "--short"], start=in_this_process)
    checks = json.loads((tmp_path / "results.json").read_text())
    assert {check["measure"] for check in checks} >= {"AP", "PCK@0.1", "normalised_error", "middle line"}
    assert all(check["pictures"] == 12 for check in checks)
    said = capsys.readouterr().out
    assert "of single keypoints" in said
    assert "hours at 4 minutes each" in said
    assert "hardly anything was learnt" in said
    assert "What came" in (tmp_path / "curve" / "curve.html").read_text()
    with (tmp_path / "curve" / "points.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [row["pictures"] for row in rows] == ["4", "8", "12"]
    assert all(0 <= float(row["PCK@0.1"]) <= 1 for row in rows)
