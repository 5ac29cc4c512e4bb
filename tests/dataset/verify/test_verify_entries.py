"""Each mistake in the entries of a file: a literal change, the code and the words that name it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import verify_horses

from equistera.dataset.verify.annotation_file import AnnotationFile, default_image_dir, read
from equistera.dataset.verify.command import describe
from equistera.dataset.verify.entries import check_labels, check_structure
from equistera.dataset.verify.findings import CHECKS, SEVERITIES, Item, gather, not_checked, tally
from equistera.files import write_json

HORSE26 = verify_horses.HORSE26


def content():
    return verify_horses.coco(verify_horses.poses(6, seed=4))


def items_of(coco):
    file = AnnotationFile(Path("train.json"), Path("."), coco, HORSE26)
    found = [*check_structure(file), *check_labels(file)]
    return [item for item in found if item.code != "not-checked"]


def put(coco, *path_and_value):
    *path, key, value = path_and_value
    for step in path:
        coco = coco[step]
    coco[key] = value


NAMES = list(HORSE26.names)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("annotations", []), "no-annotations", "6 pictures, 0 annotations"),
        (("categories", []), "no-keypoint-names", "[nose, l_eye, r_eye, ...]"),
        (("categories", 0, "keypoints", [*NAMES[:-1], "rh_hof"]), "keypoint-names", "did you mean 'rh_hoof'?"),
        (("categories", 0, "keypoints", NAMES[:-1]), "keypoint-names", "missing keypoint 'rh_hoof'"),
        (("categories", 0, "keypoints", NAMES[::-1]), "keypoint-order", "nose is number 26, not 1"),
        (("images", 0, "id", None), "picture-entry", "'id' must be a whole number or a text, found nothing"),
        (("images", 0, "file_name", 7), "picture-entry", "'file_name' must be a text, found 7"),
        (("images", 0, "x"), "picture-entry", "expected an object, found 'x'"),
        (("images", 0, "id", 2), "picture-id-twice", "id 2: 0001.jpg"),
        (("images", 0, "file_name", "0002.jpg"), "picture-twice", "0002.jpg: ids 1, 2"),
        (("images", 0, "width", None), "picture-size-missing", "width nothing, height 480"),
        (("images", 0, "height", float("inf")), "picture-size-missing", "width 640, height inf"),
        (("annotations", 0, 5), "annotation-entry", "expected an object, found 5"),
        (("annotations", 0, "id", "a"), "annotation-id", "'id' must be a whole number, found 'a'"),
        (("annotations", 0, "id", 2), "annotation-id-twice", "annotation 2 (0001.jpg) is one of 2"),
        (("annotations", 0, "id", 0), "annotation-id-zero", "annotation 0 (0001.jpg)"),
        (("annotations", 0, "image_id", 17), "picture-unknown", "annotation 1: image_id 17"),
        (("annotations", 0, "category_id", 3), "category-unknown", "category_id 3"),
        (("annotations", 0, "keypoints", [1, 2]), "keypoint-count", "2 values, expected 78"),
        (("annotations", 0, "keypoints", "12"), "keypoint-count", "expected a list, found '12'"),
        (("annotations", 0, "keypoints", 0, None), "coordinates", "nose (nothing, "),
        (("annotations", 0, "keypoints", 0, "12"), "coordinates", "nose ('12', "),
        (("annotations", 0, "keypoints", 0, 1e300), "coordinates", "nose (1e+300, "),
        (("annotations", 0, "keypoints", 2, 0.5), "visibility-flag", "nose 0.5"),
        (
            ("annotations", 0, "keypoints", [0, 0, 2] * 26),
            "labelled-at-origin",
            "nose, l_eye, r_eye, l_ear and 22 more",
        ),
        (("annotations", 0, "keypoints", [700, 5, 2] * 26), "outside-picture", "nose at (700, 5)"),
        (("annotations", 0, "keypoints", [0, 0, 0] * 26), "unlabelled", "annotation 1 (0001.jpg)"),
        (("annotations", 0, "keypoints", None), "unlabelled", "no 'keypoints'"),
        (("annotations", 0, "bbox", None), "box", "bbox nothing"),
        (("annotations", 0, "bbox", [1, 2, 3]), "box", "bbox [1, 2, 3]"),
        (("annotations", 0, "bbox", [1, 2, 0, 4]), "box", "bbox [1, 2, 0, 4]"),
        (("annotations", 0, "bbox", [700, 2, 10, 4]), "box", "bbox [700, 2, 10, 4]"),
        (("annotations", 0, "bbox", [-20, 0, 660, 480]), "box-outside-picture", "reaches 20 pixels out of the picture"),
        (("annotations", 0, "area", None), "area", "area nothing"),
        (("annotations", 0, "area", -3), "area", "area -3"),
        (("annotations", 0, "area", 0.4), "area", "area 0.4 in a box of"),
        (("annotations", 0, "area", 1e6), "area-above-box", "area 1000000 above its box's"),
        (("annotations", 0, "num_keypoints", 0), "num-keypoints-zero", "num_keypoints 0, "),
        (("annotations", 0, "num_keypoints", None), "num-keypoints-zero", "num_keypoints nothing, "),
        (("annotations", 0, "num_keypoints", 1), "num-keypoints", "num_keypoints 1, "),
        (("annotations", 0, "iscrowd", 1), "crowd", "annotation 1 (0001.jpg)"),
    ],
)
def test_mistake_is_named(change, code, words):
    coco = content()
    assert items_of(coco) == []
    put(coco, *change)
    texts = [item.text for item in items_of(coco) if item.code == code]
    assert texts
    assert words in texts[0]


@pytest.mark.parametrize(("divide", "words"), [((640, 480), "fractions?"), ((6.4, 4.8), "percent?")])
def test_coordinates_in_another_unit(divide, words):
    poses = verify_horses.poses(6, seed=4)
    poses[..., :2] /= divide
    texts = [item.text for item in items_of(verify_horses.coco(poses)) if item.code == "coordinates-scale"]
    assert words in texts[0]


def test_never_and_hardly_ever_labelled():
    poses = verify_horses.poses(60, seed=4)
    neck, back = HORSE26.index["neck"], HORSE26.index["back"]
    poses[:, neck] = 0
    poses[2:, back] = 0
    found = {item.code: item.text for item in items_of(verify_horses.coco(poses)) if item.code.startswith("keypoint-")}
    assert found == {"keypoint-never": "neck", "keypoint-rare": "back: on 2 of 60 animals"}


def test_effect_where_everything_is_wrong():
    coco = content()
    for entry in coco["annotations"]:
        entry["area"] = 0
    (finding,) = gather(items_of(coco), "train.json", {"annotations": 6})
    assert finding.everywhere
    text = describe(finding, examples=2)
    assert text.startswith("ERROR area missing, not positive, or next to nothing: 6 of 6 annotations [area]")
    assert "AP will be 0 or -1" in text
    assert "... and 4 more" in text
    assert "--fix takes the area of the box" in text


def test_checks_are_whole():
    assert all(code == check.code and check.severity in SEVERITIES for code, check in CHECKS.items())
    assert all(check.title and check.effect for check in CHECKS.values())


def test_tally():
    assert tally([]) == "nothing wrong found"
    findings = gather([Item("area", "a"), Item("box", "b"), Item("limb", "c")], "x", {})
    assert tally(findings) == "2 errors, 1 warning"
    omitted = gather([not_checked("this", 3, "animals", 30), not_checked("that", 3, "animals", 20)], "train.json", {})
    assert tally([*findings, *omitted]) == "2 errors, 1 warning; 2 checks not made"
    assert tally(omitted) == "nothing wrong found in what was checked; 2 checks not made"


def test_points_are_read_in_the_skeletons_order_and_by_alias():
    coco = content()
    straight = AnnotationFile(Path("a"), Path("."), coco, HORSE26).keypoints
    shuffled = content()
    order = np.random.default_rng(0).permutation(26)
    shuffled["categories"][0]["keypoints"] = [HORSE26.names[k].upper().replace("_", " ") for k in order]
    for entry in shuffled["annotations"]:
        entry["keypoints"] = np.array(entry["keypoints"]).reshape(26, 3)[order].ravel().tolist()
    assert np.array_equal(AnnotationFile(Path("a"), Path("."), shuffled, HORSE26).keypoints, straight)


def test_default_picture_folder(tmp_path):
    path = tmp_path / "annotations" / "train.json"
    write_json(path, content())
    assert default_image_dir(path) == path.parent
    (tmp_path / "images" / "train").mkdir(parents=True)
    assert default_image_dir(path) == tmp_path / "images" / "train"
    assert read(path, None, HORSE26).image_dir == tmp_path / "images" / "train"
    assert read(path, tmp_path, HORSE26).image_dir == tmp_path
