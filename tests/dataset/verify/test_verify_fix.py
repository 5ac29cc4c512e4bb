"""Repairs: each puts one thing right, tells it, and leaves what would be a guess."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import verify_horses
from PIL import Image

from equistera.dataset.verify.command import findings_after, verify
from equistera.dataset.verify.fix import repair

HORSE26 = verify_horses.HORSE26


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    root = tmp_path_factory.mktemp("fix")
    path, _ = verify_horses.write_set(root, 8, seed=21)
    return verify([path], HORSE26, decode=False)


def repaired(result, change):
    """What is repaired after ``change`` was done to the content; the input must stay as it is."""
    content = copy.deepcopy(result.files[0].content)
    change(content)
    file = replace(result.files[0], content=content)
    before = copy.deepcopy(content)
    fixed, changes = repair(file)
    assert repr(content) == repr(before)
    left = verify_horses.mistakes(findings_after(file, fixed))
    return fixed, changes, left


def test_nothing_to_repair(result):
    fixed, changes, left = repaired(result, lambda content: None)
    assert fixed == result.files[0].content
    assert changes == []
    assert left == set()


def at(number, **values):
    return lambda content: content["annotations"][number].update(values)


def point(number, values, name="nose"):
    def change(content):
        k = 3 * HORSE26.index[name]
        content["annotations"][number]["keypoints"][k : k + 3] = values

    return change


def without(number, key):
    return lambda content: content["annotations"][number].pop(key)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (at(0, area=0), "set 1 area to that of the box"),
        (at(0, area=9e9), "set 1 area to that of the box"),
        (without(0, "area"), "set 1 area to that of the box"),
        (at(0, num_keypoints=0), "counted the labelled points of 1 annotation anew"),
        (without(0, "num_keypoints"), "counted the labelled points of 1 annotation anew"),
        (at(0, id=2), "numbered all 8 annotations anew"),
        (at(0, id=0), "numbered all 8 annotations anew"),
        (at(0, id=None), "numbered all 8 annotations anew"),
        (at(0, category_id=99), "put 1 annotation into category 1, the only one with keypoints"),
        (at(0, bbox=[0, 0, 0, 0]), "made 1 box from the labelled points"),
        (without(0, "bbox"), "made 1 box from the labelled points"),
        (at(0, bbox=[-30, -30, 700, 600]), "clipped 1 box to their picture"),
        (point(0, [float("nan"), 3, 2]), "set 1 point without coordinates to not labelled"),
        (point(0, [None, None, None]), "set 1 point without coordinates to not labelled"),
        (point(0, [0, 0, 2]), "set 1 point at (0, 0) to not labelled"),
        (point(0, [900, 20, 2]), "set 1 point outside their picture to not labelled"),
        (lambda content: content["images"].append(dict(content["images"][0])), "left out 1 repeated entries"),
        (lambda content: content["annotations"].append({**content["annotations"][0], "id": 50}), "repeat another one"),
        (lambda content: content["images"][0].pop("width"), "filled in the size of 1 picture"),
        (lambda content: content.update(info={"x": float("inf")}), "emptied 1 other NaN or infinite numbers"),
    ],
)
def test_repair_is_complete_and_told(result, change, told):
    _, changes, left = repaired(result, change)
    assert any(told in line for line in changes), changes
    assert left == set()


def test_annotations_of_no_picture_are_left_out(result):
    fixed, changes, left = repaired(result, at(0, image_id=777))
    assert changes == ["left out 1 annotation that belong to no picture"]
    assert len(fixed["annotations"]) == 7
    assert left == {"picture-unlabelled"}


def test_not_all_annotations_are_left_out(result):
    def change(content):
        for entry in content["annotations"]:
            entry["image_id"] += 100

    fixed, changes, left = repaired(result, change)
    assert changes == []
    assert len(fixed["annotations"]) == 8
    assert "picture-unknown" in left


def test_order_of_keypoints(result):
    order = np.random.default_rng(5).permutation(26)

    def change(content):
        content["categories"][0]["keypoints"] = [HORSE26.names[k] for k in order]
        for entry in content["annotations"]:
            entry["keypoints"] = np.array(entry["keypoints"]).reshape(26, 3)[order].ravel().tolist()

    fixed, changes, left = repaired(result, change)
    assert changes == ["brought the keypoints of 1 category into the skeleton's order"]
    assert fixed == result.files[0].content
    assert left == set()


def test_box_is_widened_to_its_points(result):
    def change(content):
        x, y, width, height = content["annotations"][0]["bbox"]
        content["annotations"][0].update(bbox=[x, y, width / 2, height], area=width * height / 2)

    fixed, changes, left = repaired(result, change)
    assert changes == ["widened 1 box to their points"]
    box = fixed["annotations"][0]["bbox"]
    assert fixed["annotations"][0]["area"] == pytest.approx(box[2] * box[3], abs=0.01)
    assert left == set()


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (point(0, ["12,5", 3, 2]), {"coordinates"}),
        (at(0, keypoints=[1, 2, 2]), {"keypoint-count"}),
        (at(0, keypoints=[900, 900, 2] * 26, num_keypoints=26), {"outside-picture"}),
        (lambda content: content["images"][0].update(id=2), {"picture-id-twice", "picture-unknown"}),
    ],
)
def test_guesses_are_not_made(result, change, left):
    _, _, still = repaired(result, change)
    assert left & still


def test_rotated_photo_is_put_right_only_where_points_prove_it(tmp_path):
    """Two portraits stored as landscapes, with the stored sizes in the file: labelled turned, and labelled unturned."""
    path, content = verify_horses.write_set(tmp_path, 2, seed=3)
    exif = Image.Exif()
    exif[0x0112] = 6
    for entry in content["images"]:
        picture = tmp_path / "images" / "train" / entry["file_name"]
        Image.new("RGB", (640, 480), (entry["id"] * 90, 60, 10)).save(picture, exif=exif)
    shown = [value for k in range(26) for value in (20.0 + 10 * k, 600.0 - 10 * k, 2)]
    content["annotations"][0].update(keypoints=shown, num_keypoints=26, bbox=[10, 300, 300, 320], area=96000)
    path.unlink()
    verify_horses.write_json(path, content)
    result = verify([path], HORSE26, decode=False)
    texts = [item.text for f in result.findings if f.check.code == "picture-rotated" for item in f.items]
    assert "640x480, the picture has 480x640: its EXIF orientation 6 turns it to the right; the points fit" in texts[0]
    assert "the points fit" not in texts[1]
    fixed, changes = repair(result.files[0])
    assert "exchanged width and height of 1 picture turned by EXIF" in changes
    assert [(entry["width"], entry["height"]) for entry in fixed["images"]] == [(480, 640), (640, 480)]
    assert fixed["annotations"][0]["keypoints"] == shown


def test_boxes_that_are_corners_are_written_as_sizes(result):
    def corners(content):
        for entry in content["annotations"]:
            x, y, width, height = entry["bbox"]
            entry["bbox"] = [x, y, x + width, y + height]

    fixed, changes, left = repaired(result, corners)
    boxes = [[entry["bbox"] for entry in content["annotations"]] for content in (fixed, result.files[0].content)]
    assert np.array(boxes[0]) == pytest.approx(np.array(boxes[1]), abs=0.02)
    assert "wrote 8 boxes, which were corners (left, top, right, bottom), as x, y, width, height" in changes
    assert left == set()


@pytest.mark.parametrize("change", [lambda p: p[:, ::-1], lambda p: p / verify_horses.SIZE])
def test_nothing_is_fitted_to_points_that_are_elsewhere(result, change):
    def move(content):
        for entry in content["annotations"]:
            rows = np.array(entry["keypoints"]).reshape(-1, 3)
            entry["keypoints"] = np.concatenate([change(rows[:, :2]), rows[:, 2:]], axis=1).ravel().tolist()

    _, changes, left = repaired(result, move)
    assert changes == []
    assert left & {"point-reading", "coordinates-scale"}
