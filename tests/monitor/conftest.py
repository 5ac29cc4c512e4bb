"""Logs as MMEngine writes them, small enough to check by hand."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest


def _write_log(start: Path, entries: Iterable[dict | str], end: str = "") -> Path:
    file = start / "vis_data" / "scalars.json"
    file.parent.mkdir(parents=True)
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    file.write_text("".join(f"{line}\n" for line in lines) + end)
    return file


@pytest.fixture
def write_log() -> Callable[..., Path]:
    """``write_log(folder of one start, entries, end="")``; entries are objects or raw lines."""
    return _write_log


@pytest.fixture
def make_run(tmp_path):
    """``make_run(entries, **run_json)`` reads a run of one start."""
    from equistera.monitor.log import read_run

    def make(entries, name="run", **run_json):
        work_dir = tmp_path / name
        _write_log(work_dir / "20260101_120000", entries)
        if run_json:
            (work_dir / "run.json").write_text(json.dumps(run_json))
        return read_run(work_dir)

    return make
