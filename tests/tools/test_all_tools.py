"""Every tool answers --help with examples, from any folder."""

import re
from pathlib import Path

import pytest

#: Tools that write what they are told to, and their spellings of where, the older ones last.
PLACES = {
    "augmentation.py": ("--out", "--out-dir"),
    "convert_dataset.py": ("--out", "--output"),
    "cross_validate.py": ("--out",),
    "download_checkpoints.py": ("--out", "--dir"),
    "export.py": ("--out",),
    "export_annotations.py": ("--out", "--output"),
    "make_demo_data.py": ("--out",),
    "measure_sigmas.py": ("--out",),
    "monitor_training.py": ("--out",),
    "prelabel.py": ("--out", "--output"),
    "pick_frames.py": ("--out",),
    "split_dataset.py": ("--out", "--output"),
    "sweep.py": ("--out",),
    "test.py": ("--out",),
    "visualize.py": ("--out", "--out-file", "--out-dir"),
}
TOOLS = sorted(path.name for path in (Path(__file__).parents[2] / "tools").glob("*.py"))


@pytest.mark.parametrize("name", TOOLS)
def test_help_has_examples(name, run_tool, tmp_path):
    done = run_tool(name, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"tools/{name}" in done.stdout
    for option in PLACES.get(name, ()):
        assert re.search(rf"{option}[ ,\n]", done.stdout), option


@pytest.mark.parametrize("name", TOOLS)
def test_an_unknown_option_is_refused(name, run_tool, tmp_path):
    done = run_tool(name, "--no-such-option", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
