import json

import pytest

from equistera.dataset import formats
from equistera.dataset.formats import animalpose
from equistera.dataset.formats.records import Animal

CONTENT = {
    "images": {"1": "2007_000063.jpg", "2": "ho1.jpeg", "3": "empty.jpg"},
    "categories": [
        {"id": 4, "name": "horse", "keypoints": ["left_eye", "nose"]},
        {"id": 1, "name": "dog", "keypoints": ["left_eye", "nose"]},
    ],
    "annotations": [
        {"image_id": 1, "category_id": 4, "bbox": [10, 20, 110, 70], "keypoints": [[11, 22, 1], [0, 0, 0]]},
        {"image_id": 2, "category_id": 1, "bbox": [5, 5, 5, 5], "keypoints": [[1, 2, 1], [3, 4, 1]]},
    ],
}


def read(tmp_path, **change):
    path = tmp_path / "keypoints.json"
    path.write_text(json.dumps({**CONTENT, **change}))
    export = formats.read(path)
    assert export.title == "AnimalPose keypoints.json"
    return export


def test_corners_become_a_box_and_seen_becomes_a_flag(tmp_path):
    export = read(tmp_path)
    first, second = export.pictures
    assert first.animals == (Animal({"left_eye": (11, 22, 2), "nose": (0, 0, 0)}, (10, 20, 100, 50), "horse"),)
    assert second.animals[0].box[2] <= 0
    assert export.keypoints == {"horse": ["left_eye", "nose"], "dog": ["left_eye", "nose"]}
    assert [s.reason for s in export.skips] == ["no annotation that can be used"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_id": 8}, "its image_id is no picture of the file"),
        ({"category_id": 8}, "its category has no keypoints"),
        ({"keypoints": [[1, 2, 1]]}, "the number of keypoints is not that of its category"),
        ({"keypoints": None}, "no keypoints in the annotation"),
        ({"keypoints": [[1, 2], [3, 4, 1]]}, "the number of keypoints is not that of its category"),
        ({"keypoints": [[1, 2, 5], [3, 4, 1]]}, "a visibility flag is not 0, 1 or 2"),
        ({"bbox": [1, 2]}, "a box is not four numbers"),
        ({"bbox": "1"}, "a list of numbers is missing"),
    ],
)
def test_what_is_skipped_and_why(tmp_path, change, reason):
    good = CONTENT["annotations"][0]
    export = read(tmp_path, annotations=[good, {**good, **change}, 3])
    assert [s.reason for s in export.skips if s.what == "horse"] == [reason, "an annotation is not an object"]


@pytest.mark.parametrize(
    ("file_name", "species"),
    [
        ("ho105.jpeg", "horse"),
        ("ca110.jpeg", "cat"),
        ("animalpose_image_part2/horse/x.jpeg", "horse"),
        ("part2\\sheep\\sh1.jpeg", "sheep"),
        ("VOC2012/JPEGImages/2007_000063.jpg", ""),
        ("house.jpg", ""),
    ],
)
def test_species_from_the_file_name(file_name, species):
    assert animalpose.species_of(file_name) == species


def test_species_of_pictures_replace_the_one_category(tmp_path):
    export = animalpose.with_species(read(tmp_path))
    assert [a.category for p in export.pictures for a in p.animals] == ["horse", "horse"]
