"""Every tool answers --help with examples, from any folder."""

from pathlib import Path

import pytest

TOOLS = sorted(path.name for path in (Path(__file__).parents[2] / "tools").glob("*.py"))


@pytest.mark.parametrize("name", TOOLS)
def test_help_has_examples(name, run_tool, tmp_path):
    done = run_tool(name, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"tools/{name}" in done.stdout


@pytest.mark.parametrize("name", TOOLS)
def test_an_unknown_option_is_refused(name, run_tool, tmp_path):
    done = run_tool(name, "--no-such-option", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
