"""What a picture looks like, in numbers."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equistera.labelling.looks import look_at, sharpness


@pytest.fixture(scope="module")
def photo(horses):
    return cv2.imread(str(next((horses / "images" / "train").glob("*.jpg"))))[..., ::-1].copy()


def test_blur_of_either_kind_shows(photo):
    moved = cv2.filter2D(photo, -1, np.full((1, 9), 1 / 9))
    soft = cv2.GaussianBlur(photo, (0, 0), 2)
    assert sharpness(moved) < 0.7 * sharpness(photo)
    assert sharpness(soft) < 0.5 * sharpness(photo)


def test_light_does_not_count_and_a_plain_picture_shows_nothing(photo):
    darker = (photo * 0.5).astype(np.uint8)
    assert sharpness(darker) == pytest.approx(sharpness(photo), rel=0.1)
    assert sharpness(np.full((90, 120, 3), 128, np.uint8)) == 0


@given(height=st.integers(1, 40), width=st.integers(1, 40), box=st.lists(st.floats(-50, 90), min_size=4, max_size=4))
def test_pictures_and_boxes_of_any_size_have_a_look(height, width, box):
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    for look in (look_at(image), look_at(image, [box[0], box[1], abs(box[2]), abs(box[3])])):
        assert np.isfinite(look.sharpness)
        assert look.colours.shape == (8 * 6 * 3,)
        assert look.shapes.shape == (4 * 3 * 8,)
        assert np.isfinite([*look.colours, *look.shapes]).all()


def test_other_colours_and_other_shapes_are_told_apart():
    rows = np.zeros((120, 160, 3), np.uint8)
    rows[::8] = 255
    columns = np.zeros_like(rows)
    columns[:, ::8] = 255
    a, b, red = look_at(rows), look_at(columns), look_at(rows * np.array([1, 0, 0], np.uint8))
    assert np.abs(a.shapes - b.shapes).max() > 5 * np.abs(a.shapes - red.shapes).max()
    assert np.linalg.norm(a.colours - red.colours) > 3 * np.linalg.norm(a.colours - b.colours)
