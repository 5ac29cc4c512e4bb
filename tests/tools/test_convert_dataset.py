"""The tool itself: options, exit codes, messages. What it does is tested in tests/dataset."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from equistera.dataset import formats

TOOL = Path(__file__).parents[2] / "tools/convert_dataset.py"


def run(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "data/raw"
    folder.mkdir(parents=True)
    tasks = []
    for i in range(3):
        Image.new("RGB", (40, 20), (80 * i, 0, 0)).save(folder / f"{i}.png")
        points = [("nose", 10, 10), ("withers", 50, 60)]
        result = [
            {"type": "keypointlabels", "value": {"x": x, "y": y, "keypointlabels": [name]}} for name, x, y in points
        ]
        tasks.append({"data": {"image": f"{i}.png"}, "annotations": [{"result": result}]})
    (folder / "export.json").write_text(json.dumps(tasks))
    return folder


def test_the_guides_command_from_any_folder(raw):
    done = run("--input", "data/raw", "--output", "data/annotations", "--split", "none", cwd=raw.parents[1])
    assert done.returncode == 0, done.stderr
    assert "converted  3 of 3 pictures, 3 of 3 horses" in done.stdout
    assert (raw.parent / "annotations/all.json").is_file()
    assert (raw.parent / "images/all/2.png").is_file()


def test_a_users_mistake_is_one_message_and_exit_code_1(raw):
    done = run("--input", raw, "--output", raw.parent / "annotations", "--img-dir", raw / "nowhere")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "error: no such picture folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "0.5", "x"], "expected numbers such as 0.7 0.15 0.15"),
        (["--format", "excel"], "invalid choice: 'excel'"),
        (["--split", "none", "--seed", "1", "--redraw"], "give --seed, --redraw to tools/split_dataset.py"),
        (["--split", "none", "--seed", "0"], "give --seed to tools/split_dataset.py"),
        (["--split", "none", "--group-by", "folder"], "give --group-by to tools/split_dataset.py"),
        (["--images", "move"], "invalid choice: 'move'"),
        (["--redraw"], "--redraw: it draws an existing split anew, which needs --overwrite"),
    ],
)
def test_options_that_make_no_sense(raw, arguments, message):
    done = run("--input", raw, "--output", raw.parent / "annotations", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_every_option_is_heard(raw, tmp_path):
    """Each option changes what happens."""
    (tmp_path / "map.json").write_text('{"nose": null, "withers": "back"}')
    out = raw.parent / "annotations"
    base = ["--input", raw / "export.json", "--output", out, "--overwrite"]
    assert run(*base, "--split", "none", "--keypoint-map", tmp_path / "map.json").returncode == 1
    assert "not CVAT" in run(*base, "--format", "cvat").stderr
    assert "no skeleton named 'pony'" in run(*base, "--skeleton", "pony").stderr
    assert "--strict is set" not in run(*base, "--strict").stderr
    assert "--group-by '(' is not a regular expression" in run(*base, "--group-by", "(").stderr
    (raw / "2.png").unlink()
    assert "--strict is set" in run(*base, "--strict").stderr
    assert run(*base, "--split", "0.5", "0.5", "--seed", "1", "--images", "none", "--redraw").returncode == 1


def test_help_names_every_format_and_gives_examples():
    done = run("--help")
    assert done.returncode == 0
    assert "--input data/raw --output data/annotations" in done.stdout
    for name in formats.NAMES:
        assert name in done.stdout
