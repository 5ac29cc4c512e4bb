"""Scores of boxes, against what is counted by hand and against pycocotools used plainly."""

import pytest

from equistera.evaluation.boxes import box_scores, matched


def animal(number, image, *box, crowd=0):
    return {"id": number, "image_id": image, "bbox": list(box), "area": box[2] * box[3], "iscrowd": crowd}


@pytest.fixture
def coco():
    animals = [animal(7, 1, 0, 0, 100, 100), animal(0, 1, 200, 0, 100, 100), animal(3, 2, 50, 50, 40, 80)]
    return {"images": [{"id": 1}, {"id": 2}, {"id": 9}], "annotations": animals}


def test_perfect_boxes_score_one(coco):
    found = {1: [[0, 0, 100, 100, 0.9], [200, 0, 100, 100, 0.8]], 2: [[50, 50, 40, 80, 0.7]]}
    scores = box_scores(coco, found)
    assert all(scores[name] == pytest.approx(1) for name in ("AP", "AP50", "AP75", "AR"))
    assert scores["normalised_error"] == 0


def test_half_of_the_animals(coco):
    # one of three is found, by a box that shares 0.8 of both; what is invented is less sure
    found = {1: [[0, 0, 100, 80, 0.9], [500, 500, 10, 10, 0.1]], 2: []}
    scores = box_scores(coco, found)
    assert scores["normalised_error"] == pytest.approx(1 - 0.8 / 3)
    # COCO's 101 recalls from 0 to 1, a third of them reached
    assert scores["AP50"] == pytest.approx(34 / 101)
    assert scores["AR"] == pytest.approx(7 / 10 / 3)


def test_nothing_found_is_nothing_scored(coco):
    scores = box_scores(coco, {1: [], 2: []})
    assert scores == {"AP": 0, "AP50": 0, "AP75": 0, "AR": 0, "normalised_error": 1}
    assert box_scores({**coco, "annotations": []}, {1: [[0, 0, 9, 9, 0.5]]})["AP"] == 0


def test_pictures_that_nobody_looked_at_do_not_count(coco):
    assert box_scores(coco, {2: [[50, 50, 40, 80, 0.7]]})["AP"] == pytest.approx(1)


def test_a_box_in_a_crowd_is_neither_right_nor_wrong(coco):
    crowd = {**coco, "annotations": [*coco["annotations"], animal(8, 2, 100, 100, 200, 200, crowd=1)]}
    found = {1: [[0, 0, 100, 100, 0.9], [200, 0, 100, 100, 0.8]], 2: [[150, 150, 50, 50, 0.95], [50, 50, 40, 80, 0.7]]}
    assert box_scores(crowd, found)["AP"] == pytest.approx(1)
    assert matched(crowd, found)[1] == {1: [], 2: []}
    assert matched(coco, found)[1] == {1: [], 2: [0]}


def test_every_box_and_every_animal_is_matched_once(coco):
    found = {1: [[5, 0, 100, 100, 0.9], [0, 0, 100, 100, 0.2], [198, 0, 100, 100, 0.5]], 2: [[0, 0, 40, 80, 0.9]]}
    pairs, invented = matched(coco, found)
    assert pairs == {7: 1, 0: 2}
    assert invented == {1: [0], 2: [0]}
