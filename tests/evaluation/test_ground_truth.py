"""What cannot be scored is refused with every finding; AP is never silently 0 or -1."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equistera.errors import UserError
from equistera.evaluation.ground_truth import check_results, is_scored, prepare

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "x"]), inner, max_size=2),
    max_leaves=6,
)


def broken(truth, **changes):
    truth = copy.deepcopy(truth)
    truth["annotations"][0].update(changes)
    return truth


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"area": 0}, "annotation 1: area must be a positive number, found 0"),
        ({"area": None}, "area must be a positive number, found None"),
        ({"area": float("nan")}, "area must be a positive number, found nan"),
        ({"bbox": [0, 0, 0, 10]}, "has no width or height"),
        ({"bbox": [0, 0, 10]}, "bbox must be 4 numbers, found 3"),
        ({"bbox": None}, "bbox must be 4 numbers, found None"),
        ({"image_id": 99}, "image_id 99 is not in the file's images"),
        ({"image_id": [1]}, r"image_id \[1\] is not in the file's images"),
        ({"keypoints": [1, 2, 2]}, "keypoints must be 15 numbers, found 3"),
        ({"keypoints": ["a"] * 15}, "keypoints must be finite numbers, found 'a'"),
        ({"id": 2}, "annotation id 2 stands twice"),
        ({"id": None}, "annotation id must be a whole number or a text, found None"),
    ],
)
def test_unusable_annotations_are_named(make, animal, changes, message):
    with pytest.raises(UserError, match=message):
        prepare(broken(make.truth(3), **changes), animal)


def test_all_findings_come_together(make, animal):
    truth = make.truth(4)
    for ann in truth["annotations"]:
        ann["area"] = 0
    with pytest.raises(UserError) as caught:
        prepare(truth, animal)
    assert len(caught.value.problems) == 4
    assert "verify_dataset.py" in caught.value.hint


@pytest.mark.parametrize("content", [None, [], "x", {}, {"images": [], "annotations": {}, "categories": []}])
def test_something_else_than_a_coco_file(animal, content):
    with pytest.raises(UserError, match="COCO file"):
        prepare(content, animal)


def test_category_without_keypoints(make, animal):
    truth = make.truth(1)
    del truth["categories"][0]["keypoints"]
    with pytest.raises(UserError, match="no category of the annotation file has 'keypoints'"):
        prepare(truth, animal)


def test_other_categories_are_left_out(make, animal):
    truth = make.truth(2)
    truth["categories"].append({"id": 9, "name": "person"})
    truth["annotations"].append({"id": 50, "image_id": 1, "category_id": 9, "bbox": [0, 0, 5, 5]})
    prepared = prepare(truth, animal)
    assert [ann["id"] for ann in prepared["annotations"]] == [1, 2]


def test_crowds_and_unlabelled_animals_stay_but_do_not_count(make, animal):
    truth = make.truth(3)
    truth["annotations"][0]["iscrowd"] = 1
    truth["annotations"][1] |= {"keypoints": [0] * 15, "area": 0, "num_keypoints": 5}
    prepared = prepare(truth, animal)["annotations"]
    assert [is_scored(ann) for ann in prepared] == [False, False, True]


def test_preparing_twice_changes_nothing(make, animal):
    truth = make.truth(3, visibility=(2, 1, 0, 2, 2))
    once = prepare(truth, animal)
    assert prepare(once, animal) == once
    assert once["annotations"][0]["num_keypoints"] == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": 7}, "prediction 0: image_id 7 is not among the 2 annotated pictures"),
        ({"category_id": 3}, r"category_id 3, expected one of \[1\]"),
        ({"keypoints": [1.0] * 6}, "keypoints must be 15 numbers, found 6"),
        ({"keypoints": [float("nan")] * 15}, "keypoints must be finite numbers, found nan"),
        ({"score": None}, "score must be finite numbers, found None"),
        ({"bbox": [1, 2]}, "bbox must be 4 numbers, found 2"),
        ({"ann_id": 2}, "ann_id 2 is not an annotation of picture 1"),
        ({"ann_id": 44}, "ann_id 44 is not an annotation of picture 1"),
    ],
)
def test_unusable_predictions_are_named(make, animal, changes, message):
    result = make.result(1) | changes
    with pytest.raises(UserError, match=message):
        check_results([result], prepare(make.truth(2), animal), animal)


def test_two_predictions_for_one_annotation(make, animal):
    twice = [make.result(1, ann_id=1), make.result(1, ann_id=1)]
    with pytest.raises(UserError, match="ann_id 1 stands twice"):
        check_results(twice, prepare(make.truth(2), animal), animal)


@settings(max_examples=150)
@given(data=st.data())
def test_junk_never_gives_a_traceback(make, animal, data):
    truth, results = make.truth(2), [make.result(1), make.result(2)]
    part = data.draw(st.sampled_from(["images", "annotations", "categories", "results"]))
    entry = data.draw(st.sampled_from(results if part == "results" else truth[part]))
    entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(JUNK)
    try:
        prepared = prepare(truth, animal)
        check_results(results, prepared, animal)
    except UserError:
        return
    assert all(np.isfinite(ann["keypoints"]).all() for ann in prepared["annotations"])
