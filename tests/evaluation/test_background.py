"""Boxes that show no animal, and how sure a model may be of them."""

import numpy as np
import pytest

from equistera.dataset.boxes import shared_areas
from equistera.evaluation.background import MOST_BOXES, boxes_beside, in_words, told_apart


def coco_of(*pictures):
    """Pictures of 400x300 with some boxes each."""
    annotations = [{"image_id": i, "bbox": box} for i, boxes in enumerate(pictures) for box in boxes]
    return {
        "images": [{"id": i, "width": 400, "height": 300} for i in range(len(pictures))],
        "annotations": annotations,
    }


def test_boxes_lie_in_their_picture_and_beside_all_animals():
    boxes = [[10, 10, 100, 80], [250, 200, 60, 60]]
    found = boxes_beside(coco_of(boxes, [[0, 0, 400, 300]], []))
    assert list(found) == [0]
    assert len(found[0]) == 2
    for box in np.array(found[0]):
        assert (box[:2] >= 0).all()
        assert (box[:2] + box[2:] <= (400, 300)).all()
        wider = np.array([*(box[:2] - 0.125 * box[2:]), *(1.25 * box[2:])])
        assert not shared_areas(wider[None], np.array(boxes, float)).any()


def test_no_more_boxes_than_are_enough():
    found = boxes_beside(coco_of(*[[[10, 10, 50, 50]]] * (MOST_BOXES + 30)))
    assert sum(map(len, found.values())) == MOST_BOXES
    again = boxes_beside(coco_of(*[[[10, 10, 50, 50]]] * (MOST_BOXES + 30)))
    assert found == again


def test_who_is_told_apart():
    found = told_apart(np.array([0.9, 0.8, 0.7, 0.4]), np.array([0.5, 0.3, 0.2]))
    assert found["AUC"] == pytest.approx(11 / 12)
    assert found["threshold"] == pytest.approx(0.6)
    assert (found["animals_above"], found["backgrounds_below"]) == (0.75, 1.0)
    assert "mean confidence 0.33" in in_words(found)


def test_equal_confidences_tell_nothing():
    found = told_apart(np.full(3, 0.5), np.full(2, 0.5))
    assert found["AUC"] == 0.5
