"""Decoding as operations of a graph is what MMPose's codecs do in NumPy."""

import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS

from equistera.errors import UserError
from equistera.mm.export.decoding import decoding_of

SIZES = {"input_size": (96, 64), "heatmap_size": (24, 16), "sigma": 2}
HEATMAPS = {
    "plain": {"type": "MSRAHeatmap", **SIZES},
    "DARK": {"type": "MSRAHeatmap", "unbiased": True, **SIZES},
    "UDP": {"type": "UDPHeatmap", **SIZES},
}


def peaks(rng, count=40, height=16, width=24):
    """Heatmaps like a network's: a bump somewhere, also at and beyond the edges, and noise."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    middle = rng.uniform((-1, -1), (width, height), (count, 2))
    away = (x - middle[:, 0, None, None]) ** 2 + (y - middle[:, 1, None, None]) ** 2
    return (np.exp(-away / 8) + rng.normal(0, 0.01, away.shape)).astype(np.float32)


@pytest.mark.parametrize("name", HEATMAPS)
def test_heatmaps(name):
    codec = KEYPOINT_CODECS.build(HEATMAPS[name])
    heatmaps = peaks(np.random.default_rng(0))
    expected, scores = codec.decode(heatmaps.copy())
    if name == "UDP":
        # its unit is not quite a pixel of the crop, whose last one's middle is the last cell's
        expected = expected * (np.array(codec.input_size) - 1) / codec.input_size
    points, found = decoding_of(codec)(torch.from_numpy(heatmaps)[None])
    assert points[0].numpy() == pytest.approx(expected[0], abs=2e-3)
    assert found[0].numpy() == pytest.approx(scores[0])


def test_vectors():
    codec = KEYPOINT_CODECS.build({"type": "SimCCLabel", "input_size": (96, 64), "simcc_split_ratio": 2.0})
    rng = np.random.default_rng(0)
    x, y = (rng.normal(0, 0.3, (3, 26, bins)).astype(np.float32) for bins in (192, 128))
    x[0, 0] = -1
    expected, scores = codec.decode(x.copy(), y.copy())
    points, found = decoding_of(codec)(torch.from_numpy(x), torch.from_numpy(y))
    assert points.numpy() == pytest.approx(expected)
    assert found.numpy() == pytest.approx(scores)
    assert points[0, 0].tolist() == [-0.5, -0.5]


def test_what_is_not_decoded_is_named():
    dark = {"type": "SimCCLabel", "input_size": (96, 64), "simcc_split_ratio": 2.0, "use_dark": True}
    with pytest.raises(UserError, match="SimCCLabel with use_dark"):
        decoding_of(KEYPOINT_CODECS.build(dark))
    combined = {"type": "UDPHeatmap", **SIZES, "heatmap_type": "combined"}
    with pytest.raises(UserError, match="UDPHeatmap"):
        decoding_of(KEYPOINT_CODECS.build(combined))
