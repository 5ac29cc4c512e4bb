"""The command as users run it: exit codes, what is printed, what is written."""

from __future__ import annotations

import functools
import json
import re

import pytest
from PIL import Image

from equistera import skeleton as skeletons
from equistera.dataset.coco import category_of
from equistera.files import write_json

HORSE26 = skeletons.load("horse26")


@pytest.fixture
def run(run_tool, tmp_path):
    return functools.partial(run_tool, "verify_dataset.py", cwd=tmp_path)


@pytest.fixture
def ann_file(tmp_path):
    """Two pictures with a horse each, in the guide's layout."""
    points = {i: [value for k in range(26) for value in (10 + 7 * k, 20 + 5 * ((k + i) % 7), 2)] for i in (1, 2)}
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 200, "height": 60} for i in (1, 2)],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "keypoints": points[i],
                "num_keypoints": 26,
                "bbox": [5, 10, 190, 45],
                "area": 190 * 45,
                "iscrowd": 0,
            }
            for i in (1, 2)
        ],
        "categories": [category_of(HORSE26)],
    }
    path = tmp_path / "data" / "annotations" / "train.json"
    write_json(path, content)
    pictures = tmp_path / "data" / "images" / "train"
    pictures.mkdir(parents=True)
    for i in (1, 2):
        picture = Image.new("RGB", (200, 60), (40 * i, 90, 10))
        picture.paste((250, 250, 250), (60 * i, 5, 60 * i + 30, 50))
        picture.save(pictures / f"{i}.png")
    return path


def change(path, **values):
    content = json.loads(path.read_text())
    content["annotations"][0].update(values)
    path.write_text(json.dumps(content))


def test_clean(run, ann_file):
    result = run("--ann-file", ann_file)
    assert result.returncode == 0, result.stderr
    assert "2 pictures, 2 annotations" in result.stdout
    assert "left and right of the whole set: 0 side views, 30 are needed" in result.stdout
    assert "keypoints that are hardly ever labelled: 2 labelled animals, 20 are needed" in result.stdout
    assert result.stdout.strip().endswith("nothing wrong found in what was checked; 3 checks not made")
    quick = run("--ann-file", ann_file, "--quick")
    assert "near-duplicates: --quick reads only the headers of pictures" in quick.stdout


def test_errors_are_told_with_what_they_do(run, ann_file):
    change(ann_file, area=0)
    (ann_file.parents[1] / "images" / "train" / "2.png").unlink()
    result = run("--ann-file", ann_file, "--quick")
    assert result.returncode == 1
    assert "ERROR area missing, not positive, or next to nothing: 1 of 2 annotations [area]" in result.stdout
    assert "OKS divides by it" in result.stdout
    assert "pictures that are not in the picture folder: 1 of 2 pictures" in result.stdout
    assert "2 errors" in result.stdout
    assert "Traceback" not in result.stderr


def test_warnings_do_not_fail(run, ann_file):
    change(ann_file, iscrowd=1)
    result = run("--ann-file", ann_file)
    assert result.returncode == 0
    assert "WARNING animals marked as a crowd" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--ann-file", "nowhere.json"],
            "no such file: nowhere.json\n  An export of a labelling tool is converted first",
        ),
        (["--ann-file", "FILE", "--img-dir", "nowhere"], "no such picture folder: nowhere"),
        (["--ann-file", "FILE", "--skeleton", "horse27"], "did you mean 'horse26'"),
        (["--ann-file", "FILE", "--fix", "FILE"], "what this command reads is never replaced"),
        (["--ann-file", "FILE", "--fix", "FILE", "--overwrite"], "what this command reads is never replaced"),
        (["--ann-file", "FILE", "--report", "OTHER"], "exist already"),
        (["--ann-file", "FILE", "--report", "BELOW"], "is a file where a folder is needed"),
        (["--ann-file", "FILE", "OTHER", "--group-by", "("], "is not a regular expression"),
        (["--ann-file", "FILE", "OTHER", "--fix", "out.json"], "--fix repairs one file at a time, found 2"),
    ],
)
def test_could_not_run(run, ann_file, tmp_path, arguments, message):
    other = tmp_path / "other.json"
    other.write_text(ann_file.read_text())
    before = ann_file.read_bytes()
    names = {"FILE": str(ann_file), "OTHER": str(other), "BELOW": str(other / "report.html")}
    result = run(*[names.get(argument, argument) for argument in arguments])
    assert result.returncode == 2
    assert "error: " in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert ann_file.read_bytes() == before


@pytest.mark.parametrize(("option", "value", "least"), [("--workers", 0, 1), ("--examples", -1, 0)])
def test_numbers_that_make_no_sense(run, ann_file, option, value, least):
    result = run("--ann-file", ann_file, option, str(value))
    assert result.returncode == 2
    assert f"expected a whole number of {least} or more, found '{value}'" in result.stderr


def test_fix_writes_a_copy_and_says_what(run, ann_file, tmp_path):
    change(ann_file, area=0, num_keypoints=3)
    before = ann_file.read_bytes()
    fixed = ann_file.with_name("fixed.json")
    result = run("--ann-file", ann_file, "--fix", fixed, "--quick")
    assert result.returncode == 1
    assert f"repaired copy: {fixed}" in result.stdout
    assert "set 1 area to that of the box" in result.stdout
    assert "counted the labelled points of 1 annotation anew" in result.stdout
    assert ann_file.read_bytes() == before
    again = run("--ann-file", fixed, "--img-dir", ann_file.parents[1] / "images" / "train")
    assert again.returncode == 0, again.stdout


def test_fix_of_a_clean_file_writes_nothing(run, ann_file):
    fixed = ann_file.with_name("fixed.json")
    result = run("--ann-file", ann_file, "--fix", fixed)
    assert result.returncode == 0
    assert "nothing that is safe to repair" in result.stdout
    assert not fixed.exists()


def test_report_opens_without_a_network(run, ann_file, tmp_path):
    change(ann_file, bbox=[5, 10, 60, 45], area=2700)
    report = tmp_path / "out.html"
    result = run("--ann-file", ann_file, "--report", report)
    assert result.returncode == 0, result.stderr
    text = report.read_text()
    for heading in ("Findings", "Suspects", "Visibility of each keypoint", "Sizes of the animals", "Contact sheet"):
        assert f"<h2>{heading}</h2>" in text
    assert "labelled points well outside the box" in text
    assert text.count("data:image/jpeg;base64,") == 2
    assert 'src="http' not in text
    assert run("--ann-file", ann_file, "--report", report).returncode == 2
    assert run("--ann-file", ann_file, "--report", report, "--overwrite").returncode == 0


def test_leak_between_files(run, ann_file):
    val = ann_file.with_name("val.json")
    val.write_text(ann_file.read_text())
    pictures = ann_file.parents[1] / "images"
    (pictures / "val").mkdir()
    for i in (1, 2):
        (pictures / "val" / f"{i}.png").write_bytes((pictures / "train" / f"{i}.png").read_bytes())
    result = run("--ann-file", ann_file, val)
    assert result.returncode == 1
    assert "the same picture in both files" in result.stdout
    assert "1.png = 1.png" in result.stdout


def test_another_skeleton(run, ann_file):
    result = run("--ann-file", ann_file, "--skeleton", "ap10k")
    assert result.returncode == 1
    assert "keypoint names are not the skeleton's" in result.stdout
    assert "these are the keypoints of --skeleton horse26" in result.stdout


def test_synthetic_horses_are_clean(run, horses):
    files = [horses / "annotations" / f"{name}.json" for name in ("train", "val", "test")]
    result = run("--ann-file", *files)
    assert result.returncode == 0, result.stdout
    assert "ERROR" not in result.stdout
    assert not {"swap", "limb"} & set(re.findall(r"\[([a-z-]+)\]$", result.stdout, re.MULTILINE))
