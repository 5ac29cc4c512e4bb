import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equistera import skeleton
from equistera.synthetic import chart

DRAWING = Path(__file__).parents[2] / "docs/images/horse26.jpg"


@pytest.mark.parametrize("name", skeleton.builtin_names())
def test_points_have_places_of_their_own_on_the_drawing(name):
    points = skeleton.load(name)
    places = chart.positions(points)
    assert places.shape == (len(points), 2)
    assert ((places > 0) & (places < 1)).all()
    apart = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(len(points))
    assert apart.min() > 0.005


def test_places_look_like_a_horse():
    horse = skeleton.load("horse26")
    at = dict(zip(horse.names, chart.positions(horse), strict=True))
    assert at["nose"][0] < at["withers"][0] < at["back"][0] < at["tail_base"][0]
    for leg in ("lf", "rf", "lh", "rh"):
        knee = at[f"{leg[0]}_{'knee' if leg[1] == 'f' else 'hock'}"]
        assert at["withers"][1] < knee[1] < at[f"{leg}_fetlock"][1] < at[f"{leg}_hoof"][1]


def test_a_point_is_drawn_in_its_colour_and_named():
    horse = skeleton.load("horse26")
    sheet = chart.draw_chart(horse)
    for color in {point.color for point in horse.keypoints}:
        assert (np.abs(sheet.astype(int) - color).max(axis=2) < 12).sum() > 300
    # names and descriptions: text beside the horse
    assert (sheet[:, -480:] < 100).all(axis=2).any(axis=1).sum() > 200
    encoded = chart.encode_chart(horse)
    assert len(encoded) < 150_000
    with Image.open(io.BytesIO(encoded)) as picture, Image.open(DRAWING) as drawing:
        assert drawing.size == picture.size
        # the drawing of the docs is that of the skeleton file
        assert np.abs(np.asarray(drawing.convert("L"), float) - np.asarray(picture.convert("L"), float)).mean() < 2
    assert DRAWING.stat().st_size < 150_000
