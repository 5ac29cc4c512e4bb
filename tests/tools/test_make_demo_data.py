import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_demo_data.py"


@pytest.fixture(scope="module")
def make_demo_data():
    """The tool, in this process."""
    spec = importlib.util.spec_from_file_location("make_demo_data", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
        (["--sheet", "s.jpg", "--backdrops", "x"], "argument --backdrops: it is for --out DIR", 2),
        (["--out", "x", "--backdrops", "y"], "no such folder: y", 1),
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--videos", "0"], "argument --videos: expected a whole number of 1 or more, found '0'"),
        (["--videos", "-1"], "argument --videos"),
        (["--seconds", "0.01"], "have no frame"),
        (["--seconds", "-1"], "-1 seconds"),
        (["--seconds", "nan"], "nan seconds"),
        (["--fps", "1000"], "1000 frames a second"),
        (["--skeleton", "horse26"], "argument --skeleton: it is for pictures"),
        (["--train", "240"], "argument --train: it is for pictures"),
        (["--out", "x"], "argument --out: it is for pictures"),
        (["--size", "161x120"], "expected even sides"),
        (["--size", "0x0"], "size 0x0"),
        (["--seed", "-1"], "seed -1"),
        (["--gait", "trot", "--asymmetry", "head=nan"], "asymmetry 'head=nan'"),
        (["--gait", "trot", "--asymmetry", "head=900"], "asymmetry 'head=900'"),
        (["--gait", "trot", "--asymmetry", "0.03"], "such as head=0.03,croup=0.01"),
        (["--gait", "trot", "--asymmetry", "head=0.01,head=0.02"], "once at most"),
        (["--gait", "trot", "--asymmetry", ""], "--asymmetry: expected a value"),
        (["--gait", "walk", "--asymmetry", "head=0.01"], "an asymmetry at gait walk, expected trot"),
        (["--asymmetry", "head=0.01"], "an asymmetry at gait mixed"),
        (["--camera", "fly"], "argument --camera"),
        (["--workers", "0"], "0 workers, expected 1 or more"),
    ],
)
def test_videos_that_cannot_be_made_are_refused_before_anything_is_written(
    make_demo_data, tmp_path, monkeypatch, capsys, options, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        make_demo_data.main(["--video", "films", *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-2]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--videos=1", "--gait=mixed", "--fps=25", "--camera=pan", "--asymmetry=head=0"])
def test_options_of_videos_say_nothing_without_them(make_demo_data, tmp_path, monkeypatch, capsys, option):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        make_demo_data.main(["--out", "x", option])
    assert stop.value.code == 2
    assert "it is for --video DIR, which is not given" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_makes_videos(make_demo_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--video", "films", "--gait", "trot", "--seconds", "0.2", "--fps", "10", "--size", "64x64"]
    make_demo_data.main([*words, "--asymmetry", "head=0.03", "--camera", "still"])
    names = ["trot_000.mp4", "trot_000.truth.csv", "trot_000.truth.csv.json", "trot_000.truth.json"]
    assert sorted(path.name for path in Path("films").iterdir()) == names
    told = json.loads(Path("films/trot_000.truth.json").read_text())
    assert told["pans"] is False
    assert told["animals"]["animal1"]["symmetry"]["head"]["set"] == 0.03
