import json

import pytest

from equistera import skeleton
from equistera.dataset.coco import category_of, load_annotations
from equistera.errors import UserError
from equistera.files import atomic_write, read_json

HORSE = skeleton.load("horse26")


def load(tmp_path, annotation=(), image=(), category=()):
    """A file of one picture and one animal, with the changes."""
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", **dict(image)}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "keypoints": [3, 4, 2] * 26, "bbox": [0, 0, 9, 9]}
            | dict(annotation)
        ],
        "categories": [{**category_of(HORSE), **dict(category)}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    return load_annotations(path, HORSE)


def test_fractions_in_pixels_place_are_not_trained_on(tmp_path):
    with pytest.raises(UserError, match="cannot be used") as error:
        load(tmp_path, {"keypoints": [0.3, 0.4, 2] * 26, "bbox": [0, 0, 99, 99]})
    assert error.value.problems == ["no coordinate is above 0.4: fractions?"]


def test_a_file_that_is_fine(tmp_path):
    [annotation] = load(tmp_path)["annotations"]
    assert annotation["num_keypoints"] == 26
    assert annotation["area"] == 81


@pytest.mark.parametrize(("name", "animals"), [("horse", ["horse"]), ("Esel", ["Esel"]), ("", []), (None, [])])
def test_what_the_animals_are_called_is_kept(tmp_path, name, animals):
    assert load(tmp_path, category={"name": name})["animals"] == animals


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"annotation": {"image_id": [1]}}, "annotation 1: image_id [1] is no image of the file"),
        ({"annotation": {"image_id": {}}}, "annotation 1: image_id {} is no image of the file"),
        ({"annotation": {"image_id": True}}, "annotation 1: image_id True is no image of the file"),
        ({"annotation": {"image_id": 2}}, "annotation 1: image_id 2 is no image of the file"),
        ({"annotation": {"category_id": [1]}}, "annotation 1: category_id [1] is no category with these keypoints"),
        ({"category": {"id": [2]}}, "category id [2] is neither a whole number nor a text"),
        ({"image": {"id": [1]}}, "image id [1] is neither a whole number nor a text"),
        ({"annotation": {"id": None}}, "annotation None: id None is neither a whole number nor a text"),
        ({"annotation": {"id": 1.5}}, "annotation 1.5: id 1.5 is neither a whole number nor a text"),
        ({"image": {"id": True}}, "image id True is neither a whole number nor a text"),
        (
            {"annotation": {"keypoints": [3, 4, 2] * 27}},
            "annotation 1: 81 numbers in 'keypoints', expected 3 for each of its category's 26 keypoints",
        ),
        (
            {"annotation": {"keypoints": [3, 4, 2] * 25}},
            "annotation 1: 75 numbers in 'keypoints', expected 3 for each of its category's 26 keypoints",
        ),
        ({"annotation": {"keypoints": [10**400, 4, 2] * 26}}, "annotation 1: keypoints holds something that is not"),
    ],
)
def test_every_fault_is_a_listed_problem(tmp_path, changes, problem):
    with pytest.raises(UserError, match="cannot be used") as error:
        load(tmp_path, **changes)
    assert error.value.problems[0].startswith(problem)


@pytest.mark.parametrize("area", [None, 0, -1, "x", float("nan"), float("inf"), pytest.param(10**400, id="huge")])
def test_an_area_that_is_none_becomes_that_of_the_box(tmp_path, area):
    assert load(tmp_path, annotation={"area": area})["annotations"][0]["area"] == 81


def interrupted_write(path):
    with atomic_write(path) as file:
        file.write("new")
        raise KeyboardInterrupt


def test_a_stop_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupted_write(path)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_ids_are_of_one_kind(tmp_path):
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in (1, "2")],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "keypoints": [3, 4, 2] * 26, "bbox": [0, 0, 9, 9]}
            for i in (1, "1")
        ],
        "categories": [category_of(HORSE)],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="cannot be used") as error:
        load_annotations(path, HORSE)
    ends = "ids are numbers in some places and texts in others"
    assert error.value.problems == [f"image {ends}", f"annotation {ends}"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_in_the_encodings_of_windows(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes('{"name": "Höfe"}'.encode(encoding))
    assert read_json(tmp_path / "a.json") == {"name": "Höfe"}
