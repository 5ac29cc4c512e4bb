import hashlib
import os
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from equistera import checkpoints
from equistera.checkpoints import Checkpoint

PROJECT = Path(__file__).resolve().parents[2]
TOOL = PROJECT / "tools" / "download_checkpoints.py"


def run(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "no_proxy": "127.0.0.1", **environment},
    )


@pytest.fixture
def mirror(tmp_path):
    (tmp_path / "served").mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "served")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_options_may_stand_between_names(tmp_path):
    result = run("rtmdet_tiny_coco", "--list", "rtmdet_m_coco", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "rtmdet_m_coco" in result.stdout


def test_help_has_examples(tmp_path):
    result = run("--help", cwd=tmp_path)
    assert result.returncode == 0
    assert "python tools/download_checkpoints.py --list" in result.stdout
    assert "--mirror URL" in result.stdout


def test_list_downloads_nothing(tmp_path):
    result = run("--list", "--dir", "weights", cwd=tmp_path)
    assert result.returncode == 0
    assert all(name in result.stdout for name in checkpoints.manifest())
    assert f"in {tmp_path / 'weights'}" in result.stdout
    assert not (tmp_path / "weights").exists()
    assert len(run("--list", "rtmdet_m_coco").stdout.splitlines()) == 3


def test_missing_on_the_mirror(tmp_path, mirror):
    result = run("--dir", tmp_path / "weights", "--mirror", mirror)
    assert result.returncode == 1
    assert "3 of 3 checkpoints are missing" in result.stderr
    for name in checkpoints.DEFAULT_NAMES:
        assert str(tmp_path / "weights" / checkpoints.find([name])[0].file_name) in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_file_is_refused(tmp_path, mirror):
    name = checkpoints.find(["rtmdet_tiny_coco"])[0].file_name
    (tmp_path / "served" / name).write_bytes(b"not the weights")
    result = run("rtmdet_tiny_coco", "--dir", tmp_path / "weights", "--mirror", mirror)
    assert result.returncode == 1
    assert "the server sent another file" in result.stderr
    assert list((tmp_path / "weights").iterdir()) == []


def test_terms_are_shown_before_anything_is_fetched(tmp_path, mirror):
    arguments = ["superanimal_quadruped_dlc", "--dir", tmp_path / "weights", "--mirror", mirror]
    result = run(*arguments)
    assert result.returncode == 1
    assert "--accept-licence superanimal" in result.stderr
    assert "404" not in result.stderr
    agreed = run(*arguments, "--accept-licence", "superanimal")
    assert "404" in agreed.stderr


def test_all_from_a_mirror(tmp_path, mirror, monkeypatch, capsys):
    """In this process, with a manifest of small files, because the real ones cannot be made up to fit their hash."""
    import runpy

    small = {}
    for name in checkpoints.DEFAULT_NAMES:
        content = name.encode() * 100
        file_name = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}_20240131.pth"
        (tmp_path / "served" / file_name).write_bytes(content)
        small[name] = Checkpoint(name, f"https://weights.invalid/v1/{file_name}", "")
    monkeypatch.setattr(checkpoints, "manifest", lambda: small)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(sys, "argv", ["download", "--all", "--dir", str(tmp_path / "weights"), "--mirror", mirror])
    for expected in ("saved as", "there already"):
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(TOOL), run_name="__main__")
        assert caught.value.code == 0
        assert capsys.readouterr().out.count(expected) == 3
    assert {path.name for path in (tmp_path / "weights").iterdir()} == {c.file_name for c in small.values()}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["rtmpose_m"], 1, "did you mean 'rtmpose_m_ap10k'?"),
        (["--mirror", "/srv/weights"], 1, "only http:// and https:// addresses"),
        (["--all", "rtmdet_m_coco"], 2, "give names or --all, not both"),
        (["--sha256", "0" * 64], 2, "its name stands beside it"),
        (["rtmdet_m_coco", "--sha256", "229f527c"], 2, "takes the 64 hexadecimal digits"),
    ],
)
def test_mistakes(tmp_path, arguments, code, message):
    result = run("--dir", tmp_path / "weights", *arguments)
    assert (result.returncode, message in result.stderr) == (code, True)
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "weights").exists()
