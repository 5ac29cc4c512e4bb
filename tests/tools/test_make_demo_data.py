import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_demo_data.py"


def test_makes_a_data_set_and_refuses_to_make_it_again(run_tool, tmp_path):
    options = ("--out", "demo", "--train", 2, "--val", 1, "--test", 0, "--size", "160x120", "--workers", 2)
    first = run_tool("make_demo_data.py", *options, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "3 pictures" in first.stdout
    assert "rendering horses: 3 pictures" in first.stderr
    assert len(json.loads((tmp_path / "demo/annotations/train.json").read_text())["images"]) == 2
    assert not (tmp_path / "demo/annotations/test.json").exists()
    second = run_tool("make_demo_data.py", *options, cwd=tmp_path)
    assert second.returncode == 1
    assert second.stderr.startswith("error: demo is not empty")
    assert "--overwrite" in second.stderr


@pytest.mark.parametrize(
    ("options", "message", "code"),
    [
        (["--out", "x", "--train", "-3"], "train: -3 pictures", 1),
        (["--out", "x", "--skeleton", "horse62"], "did you mean 'horse26'", 1),
        (["--out", "x", "--workers", "0"], "0 workers", 1),
        (["--out", "x", "--seed", "-1"], "seed -1", 1),
        (["--out", "x", "--train", "many"], "invalid int value", 2),
        (["--out", "x", "--size", "640"], "WIDTHxHEIGHT", 2),
        (["--out", "x", "--size", "20x20"], "size 20x20", 1),
        ([], "--out, --sheet", 2),
        (["--sheet", "s.txt"], "expected a name that ends in .jpg, found 's.txt'", 2),
    ],
)
def test_wrong_options(run_tool, tmp_path, options, message, code):
    result = run_tool("make_demo_data.py", *options, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_help_has_examples_and_imports_nothing_heavy():
    code = (
        f"import runpy, sys; sys.argv = ['x', '--help']\ntry: runpy.run_path({str(TOOL)!r}, run_name='__main__')\n"
        "except SystemExit: print([m for m in ('cv2', 'scipy', 'matplotlib', 'torch', 'mmengine') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=1800, check=True)
    assert "--out data/demo --train 240 --val 48 --test 48 --seed 0" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_a_killed_run_leaves_no_annotations_and_no_processes(tmp_path):
    command = [sys.executable, str(TOOL), "--out", "demo", "--train", "5000", "--size", "160x120", "--workers", "2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        end = time.monotonic() + 1800
        while not list(tmp_path.glob("demo/images/train/*.jpg")) and time.monotonic() < end:
            time.sleep(0.05)
        process.kill()
        # standard error ends when the last worker has gone
        process.communicate(timeout=1800)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert list(tmp_path.glob("demo/images/train/*.jpg"))
    assert not (tmp_path / "demo/annotations").exists()
