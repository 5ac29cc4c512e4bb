"""The command line of tools/test.py."""


def test_options_may_stand_between_config_and_checkpoint(run_tool, tmp_path):
    (tmp_path / "a.py").touch()
    done = run_tool("test.py", tmp_path / "a.py", "--report", tmp_path / "none.pth", "--split", "val", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "unrecognized" not in done.stderr
    assert "none.pth" in done.stderr
