"""Answers to crops of several sizes are laid onto one another before they are averaged."""

import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from equistera.mm import register  # noqa: F401
from equistera.mm.data.codecs import pixels_across
from equistera.mm.network.views import averaged, reference_of

HEATMAP = {"input_size": (96, 128), "heatmap_size": (24, 32), "sigma": 2}
CODECS = {
    "SimCC": {"type": "SimCCLabel", "input_size": (96, 128), "sigma": (4.0, 4.0), "normalize": False},
    "DARK": {"type": "MSRAHeatmap", "unbiased": True, **HEATMAP},
    "UDP": {"type": "UDPHeatmap", **HEATMAP},
}


def answers(settings, points):
    """What a perfect network says of ``points`` [K, 2], shares of a view: a batch of one."""
    pixels = (points * pixels_across(settings))[None].astype(np.float32)
    made = KEYPOINT_CODECS.build(dict(settings)).encode(pixels, np.ones(pixels.shape[:2], np.float32))
    names = ["heatmaps"] if "heatmaps" in made else ["keypoint_x_labels", "keypoint_y_labels"]
    parts = [torch.from_numpy(made[name]) for name in names]
    return tuple(part[None] if part.shape[0] > 1 else part for part in parts)


@pytest.mark.parametrize(("name", "within"), [("SimCC", 0.75), ("DARK", 0.3), ("UDP", 0.3)])
@pytest.mark.parametrize("scales", [(0.9, 1.0, 1.1), (1.0, 1.25), (0.8, 1.0), (1.2,)])
def test_a_point_is_found_where_all_views_have_it(name, within, scales):
    settings = CODECS[name]
    places = np.random.default_rng(0).uniform(-0.25, 0.25, (20, 2))
    views = [answers(settings, places / scale + 0.5) for scale in scales]
    mean = averaged(views, scales, name == "UDP")
    found, scores = KEYPOINT_CODECS.build(dict(settings)).decode(*(part[0].numpy() for part in mean))
    expected = (places / scales[reference_of(scales)] + 0.5) * settings["input_size"]
    assert np.abs(found.reshape(-1, 2) - expected).max() < within
    assert scores.min() > 0.85


def test_one_view_stays_what_it_is():
    for name, settings in CODECS.items():
        view = answers(settings, np.random.default_rng(0).uniform(0, 1, (20, 2)))
        for part, same in zip(averaged([view], (1.1,), name == "UDP"), view, strict=True):
            torch.testing.assert_close(part, same, atol=1e-6, rtol=0)


def test_where_a_smaller_view_does_not_reach_the_others_count():
    large, small = torch.full((1, 1, 8), 2.0), torch.full((1, 1, 8), 4.0)
    (mean, _) = averaged([(small, small), (large, large)], (0.5, 1.0), False)
    assert mean.flatten().tolist() == [2, 2, 3, 3, 3, 3, 2, 2]


def test_the_usual_crop_is_the_reference():
    assert reference_of((0.8, 1.0, 1.1)) == 1
    assert reference_of((0.9, 1.2)) == 0
