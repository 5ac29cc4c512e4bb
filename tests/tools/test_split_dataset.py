import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PROJECT = Path(__file__).resolve().parents[2]


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, PROJECT / "tools" / "split_dataset.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )


@pytest.fixture
def data(tmp_path):
    """Six horses, five flat pictures each; only their folders tell them apart, near-duplicates are all of them."""
    images, annotations = [], []
    for i in range(30):
        name = f"horse{i % 6}/{i}.png"
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.new("L", (16, 16))
        picture.putdata([(j * j * (i % 6 + 3) * 2654435761 >> 13) % 256 for j in range(256)])
        picture.save(path)
        images.append({"id": i, "file_name": name, "width": 16, "height": 16})
        annotations.append({"id": i, "image_id": i, "category_id": 1, "keypoints": [3, 4, 2]})
    categories = [{"id": 1, "name": "horse", "keypoints": ["nose"]}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "all.json").write_text(json.dumps(content))
    return tmp_path


def test_help_has_examples(tmp_path):
    result = run("--help", cwd=tmp_path)
    assert result.returncode == 0
    assert "python tools/split_dataset.py --ann-file all.json" in result.stdout
    assert "--split 0.8 0.2 --group-by" in result.stdout


def test_splits(data):
    command = ["--ann-file", "all.json", "--img-dir", "photos", "--output", "data/annotations", "--group-by", "folder"]
    command += ["--split", "0.67", "0.17", "0.16"]
    result = run(*command, cwd=data)
    assert (result.returncode, result.stderr.count("Traceback")) == (0, 0)
    assert "30 pictures in 6 groups (by folder)" in result.stdout
    split = json.loads((data / "data" / "annotations" / "split.json").read_text())
    homes = {name.split("/")[0]: where for name, where in split["pictures"].items()}
    assert sorted(homes.values()) == ["test", "train", "train", "train", "train", "val"]
    for name, where in split["pictures"].items():
        assert where == homes[name.split("/")[0]]
        assert (data / "data" / "images" / where / name).samefile(data / "photos" / name)
    for where in ("train", "val", "test"):
        part = json.loads((data / "data" / "annotations" / f"{where}.json").read_text())
        assert len(part["images"]) == len(part["annotations"]) == 5 * list(homes.values()).count(where)

    again = run(*command, cwd=data)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    grown = run(*command, "--overwrite", "--seed", "5", cwd=data)
    assert "30 kept where data/annotations/split.json has them, 0 new ones placed" in grown.stdout
    assert json.loads((data / "data" / "annotations" / "split.json").read_text())["pictures"] == split["pictures"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "0.7", "0.7"], "--split must add up to 1, found 0.7 0.7"),
        (["--group-by", "pony"], "finds no group in 30 of 30 file names"),
        (["--group-by", "("], "is not a regular expression"),
        (["--ann-file", "gone.json"], "no such file: gone.json"),
        (["--img-dir", "."], "30 of 30 pictures cannot be compared"),
        (["--duplicate-distance", "64"], "30 pictures in 1 group cannot fill 3 splits"),
    ],
)
def test_mistakes(data, arguments, message):
    result = run("--ann-file", "all.json", "--img-dir", "photos", "--output", "out/annotations", *arguments, cwd=data)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (data / "out").exists()


def test_redraw_without_overwrite_is_refused(data):
    result = run("--ann-file", "all.json", "--output", "out/annotations", "--redraw", cwd=data)
    assert result.returncode == 2
    assert "--redraw: it draws an existing split anew, which needs --overwrite" in result.stderr
