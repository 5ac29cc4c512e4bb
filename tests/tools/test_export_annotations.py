"""The tool itself: options, exit codes, messages. What it does is tested in tests/dataset."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from equistera import skeleton
from equistera.dataset.coco import category_of
from equistera.dataset.export import FORMATS

TOOL = Path(__file__).parents[2] / "tools/export_annotations.py"


def run(*arguments):
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture
def ann_file(tmp_path):
    points = [1, 2, 2, 3, 4, 1] + [0] * 72
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 20}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": points, "bbox": [0, 0, 9, 9]}],
        "categories": [category_of(skeleton.load("horse26"))],
    }
    path = tmp_path / "val.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("to", FORMATS)
def test_every_format(ann_file, tmp_path, to):
    no_pictures = ["--images", "none"] if to == "yolo" else []
    done = run("--ann-file", ann_file, "--to", to, "--output", tmp_path / "out", *no_pictures)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").exists()
    again = run("--ann-file", ann_file, "--to", to, "--output", tmp_path / "out", *no_pictures)
    assert again.returncode == 1
    assert "not overwritten" in again.stderr
    assert "Traceback" not in again.stderr


def test_pictures_that_are_missing_are_named(ann_file, tmp_path):
    done = run("--ann-file", ann_file, "--to", "yolo", "--output", tmp_path / "out")
    assert done.returncode == 1
    assert "1 of 1 picture not there" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["coco", "--url-prefix", "foo"], 2, "argument --url-prefix: it is for --to labelstudio"),
        (["labelstudio", "--images", "copy"], 2, "argument --images: it is for --to yolo"),
        (["labelstudio", "--img-dir", "nowhere"], 1, "no such picture folder: nowhere"),
    ],
)
def test_options_that_would_be_ignored_are_refused(ann_file, tmp_path, arguments, code, message):
    done = run("--ann-file", ann_file, "--output", tmp_path / "out", "--to", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_help_names_every_format_and_gives_examples():
    done = run("--help")
    assert done.returncode == 0
    assert "--to labelstudio --output val_tasks.json" in done.stdout
    for name in FORMATS:
        assert name in done.stdout
