"""docs/tutorial.ipynb runs from top to bottom; its commands in this process, so that torch is imported once."""

import json
import os
import re
import runpy
import shlex
from pathlib import Path

from equistera import PROJECT

NOTEBOOK = PROJECT / "docs/tutorial.ipynb"
BANG = re.compile(r"^!(.*)$", re.MULTILINE)


def run_line(line: str) -> None:
    """``!python tools/NAME.py ARGS``, and an error where the tool ends with one."""
    python, script, *argv = shlex.split(os.path.expandvars(line))
    assert python == "python"
    assert not runpy.run_path(script)["main"](argv)


def test_it_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT / "docs")  # where Jupyter starts it
    monkeypatch.setenv("TUTORIAL", str(tmp_path))
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names = {"run_line": run_line}
    for cell in cells:
        if cell["cell_type"] == "code":
            source = BANG.sub(lambda line: f"run_line({line[1]!r})", "".join(cell["source"]))
            exec(compile(source, NOTEBOOK.name, "exec"), names)
    assert 0 <= names["metrics"]["PCK@0.1"] <= 1
    assert names["measured"]["animals"]["animal1"]["strides"] >= 3
    assert len(list(Path(tmp_path, "drawn").glob("*.jpg"))) == 6


def test_it_is_kept_without_what_it_printed():
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
