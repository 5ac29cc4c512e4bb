"""The search with a model that sees discs: it must find them wherever they are, and nothing where there are none."""

import numpy as np
import pytest
from discs import RADIUS, SeesDiscs, film

from equistera.mm.prediction.search import SearchedBoxes


def search(*middles, model=None):
    (frame,) = film(*(np.array([middle], dtype=float) for middle in middles))
    (boxes,) = SearchedBoxes(model or SeesDiscs(), lambda scores: scores)([frame])
    return [np.array(box.xywh[:2]) + np.array(box.xywh[2:]) / 2 for box in boxes], boxes


@pytest.mark.parametrize("middle", [(160, 120), (40, 40), (280, 200), (60, 190)])
def test_an_animal_is_found_wherever_it_is(middle):
    found, boxes = search(middle)
    assert len(found) == 1
    assert np.abs(found[0] - middle).max() < 8
    assert max(boxes[0].xywh[2:]) < 4 * RADIUS
    assert boxes[0].score > 0.8


def test_nothing_is_found_where_nothing_is():
    assert search((np.nan, np.nan))[1] == []


def test_a_model_that_moves_its_points_with_the_crop_has_seen_nothing():
    class SureOfEverything(SeesDiscs):
        def poses(self, crops, batch_size=16):
            for image, (x, y, width, height) in crops:
                for pose in super().poses([(np.zeros_like(image), (x, y, width, height))]):
                    yield type(pose)(pose.points, np.full_like(pose.scores, 0.9), pose.bbox)

    assert search((160, 120), model=SureOfEverything())[1] == []
