import json

import pytest

from equistera.dataset import formats
from equistera.dataset.formats.records import Animal, NotLabels, Picture
from equistera.errors import UserError

CATEGORY = {"id": 4, "name": "horse", "keypoints": ["neck", "nose"]}
IMAGE = {"id": 1, "file_name": "a.jpg", "width": 20, "height": 10}
ANNOTATION = {
    "id": 9,
    "image_id": 1,
    "category_id": 4,
    "keypoints": [1, 2, 2, 3.5, 4, 1],
    "bbox": [0, 1, 5, 6],
    "area": 12.5,
}


def read(tmp_path, images=(IMAGE,), annotations=(ANNOTATION,), categories=(CATEGORY,)):
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"images": list(images), "annotations": list(annotations), "categories": list(categories)})
    )
    return formats.read(path)


def test_points_by_name_box_area_and_size(tmp_path):
    export = read(tmp_path)
    assert export.title == "COCO keypoints"
    assert export.keypoints == {"horse": ["neck", "nose"]}
    assert export.pictures == [
        Picture(
            ("a.jpg",),
            "a.json, picture a.jpg",
            (Animal({"neck": (1, 2, 2), "nose": (3.5, 4, 1)}, (0, 1, 5, 6), "horse", 12.5),),
            (20, 10),
        )
    ]


@pytest.mark.parametrize("area", [0, -1, None, "x", float("nan")])
def test_area_that_cannot_be_is_left_for_the_box(tmp_path, area):
    assert read(tmp_path, annotations=[{**ANNOTATION, "area": area}]).pictures[0].animals[0].area is None


@pytest.mark.parametrize("box", [None, [], [1, 2, 0, 5], [1, 2, 3, -5]])
def test_box_without_a_size_is_left_to_be_made(tmp_path, box):
    assert read(tmp_path, annotations=[{**ANNOTATION, "bbox": box}]).pictures[0].animals[0].box is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_id": 2}, "its image_id is no picture of the file"),
        ({"image_id": [1]}, "its image_id is no picture of the file"),
        ({"category_id": 5}, "its category has no keypoints"),
        ({"category_id": None}, "its category has no keypoints"),
        ({"iscrowd": 1}, "marked as a crowd"),
        ({"keypoints": []}, "no keypoints in the annotation"),
        ({"keypoints": [1, 2, 2]}, "the number of keypoints is not that of its category"),
        ({"keypoints": "1 2 3"}, "a list of numbers is missing"),
        ({"keypoints": [1, 2, 2, 3, 4, 7]}, "a visibility flag is not 0, 1 or 2"),
        ({"keypoints": [1, None, 2, 3, 4, 2]}, "a coordinate is not a number"),
        ({"keypoints": [1, "x", 2, 3, 4, 2]}, "a coordinate is not a number"),
        ({"keypoints": [1, float("nan"), 2, 3, 4, 2]}, "a coordinate is not a number"),
        ({"keypoints": [1, 10**400, 2, 3, 4, 2]}, "a coordinate is not a number"),
        ({"bbox": [1, 2, 3]}, "a box is not four numbers"),
    ],
)
def test_annotations_that_are_skipped_and_why(tmp_path, change, reason):
    export = read(tmp_path, annotations=[ANNOTATION, {**ANNOTATION, "id": 10, **change}])
    assert len(export.pictures[0].animals) == 1
    [skip] = export.skips
    assert (skip.what, skip.reason) == ("horse", reason)
    assert "annotation 10" in skip.where


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"file_name": "b.jpg"}, "a picture without an id"),
        ({"id": 2}, "the picture's file_name is missing"),
        ({"id": 2, "file_name": 3}, "the picture's file_name is missing"),
        ({"id": 2, "file_name": "b.jpg"}, "no annotation that can be used"),
        (7, "a picture without an id"),
    ],
)
def test_pictures_that_are_skipped_and_why(tmp_path, image, reason):
    export = read(tmp_path, images=[IMAGE, image])
    assert [p.names for p in export.pictures] == [("a.jpg",)]
    assert [s.reason for s in export.skips] == [reason]


def test_picture_ids_that_stand_twice_lose_both_pictures(tmp_path):
    other = {"id": 2, "file_name": "c.jpg"}
    annotations = [ANNOTATION, {**ANNOTATION, "image_id": 2}]
    export = read(tmp_path, images=[IMAGE, {**IMAGE, "file_name": "b.jpg"}, other], annotations=annotations)
    assert [p.names for p in export.pictures] == [("c.jpg",)]
    assert {s.reason for s in export.skips} >= {"a picture id stands twice"}


@pytest.mark.parametrize("categories", [[], [{"id": 1, "name": "horse"}], [{"id": 1, "keypoints": [1, 2]}], ["x"]])
def test_file_without_keypoint_names(tmp_path, categories):
    with pytest.raises(UserError, match="names no keypoints"):
        read(tmp_path, categories=categories)


def test_category_with_a_name_twice(tmp_path):
    with pytest.raises(UserError, match="has keypoint 'nose' more than once"):
        read(tmp_path, categories=[{**CATEGORY, "keypoints": ["nose", "nose"]}])


@pytest.mark.parametrize("content", ["", "{", "[1, 2", "\x00", "nul", "[" * 200_000])
def test_damaged_json(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UserError, match="is not JSON"):
        formats.read(path)


def test_json_of_another_kind_is_no_annotation_file(tmp_path):
    path = tmp_path / "a.json"
    for content in ({}, [], {"shapes": []}, "text", 3):
        path.write_text(json.dumps(content))
        with pytest.raises(NotLabels, match="no annotations of a known format"):
            formats.read(path)
    with pytest.raises(UserError, match="not COCO keypoints: 3"):
        formats.read(path, "coco")


def test_files_that_are_not_even_opened(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no such file"):
        formats.read(tmp_path / "a.json")
    with pytest.raises(UserError, match="is not a file"):
        formats.read(tmp_path)
    path = tmp_path / "b.json"
    path.write_text("[]")
    monkeypatch.setattr("equistera.dataset.formats.records.MAX_FILE_BYTES", 1)
    with pytest.raises(UserError, match="are not opened"):
        formats.read(path)
