import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equistera import skeleton
from equistera.mm.data.targets import EncodeTargets, encode_heatmaps, encode_simcc

HORSE = skeleton.load("horse26")
SIMCC = {"type": "SimCCLabel", "input_size": (64, 96), "sigma": (2.0, 3.0), "simcc_split_ratio": 2.0}
HEATMAP = {"type": "MSRAHeatmap", "input_size": (64, 96), "heatmap_size": (16, 24), "sigma": 2}

points_anywhere = st.lists(
    st.tuples(st.floats(-200, 300, width=32), st.floats(-200, 300, width=32), st.sampled_from([0.0, 1.0])),
    min_size=1,
    max_size=26,
)


def encoded(codec, points, visible):
    results = {
        "transformed_keypoints": points,
        "keypoints_visible": visible,
        "dataset_keypoint_weights": HORSE.weights[: points.shape[1]],
    }
    return EncodeTargets(codec).transform(results)


@pytest.mark.parametrize("codec", [SIMCC, HEATMAP])
def test_targets_point_at_the_keypoints_and_carry_the_schemas_weights(codec):
    points = np.random.default_rng(0).uniform((4, 4), (60, 92), (1, 26, 2)).astype(np.float32)
    labelled = np.arange(26) != 3
    targets = encoded(codec, points, labelled[None].astype(np.float32))
    if codec is SIMCC:
        peaks = np.stack([targets["keypoint_x_labels"][0].argmax(1), targets["keypoint_y_labels"][0].argmax(1)], 1) / 2
    else:
        maps = targets["heatmaps"]
        peaks = np.stack(np.unravel_index(maps.reshape(26, -1).argmax(1), maps.shape[1:])[::-1], 1) * 4
    assert np.abs(peaks - points[0])[labelled].max() <= (0.5 if codec is SIMCC else 4)
    assert np.allclose(targets["keypoint_weights"][0], HORSE.weights * labelled)


@given(points_anywhere)
@settings(max_examples=60)
def test_simcc_targets_equal_the_codecs_to_the_bit(rows):
    codec, points, visible = EncodeTargets(SIMCC).codec, *split(rows)
    ours, theirs = encode_simcc(points, visible, codec), codec.encode(points, visible)
    for name in ("keypoint_x_labels", "keypoint_y_labels", "keypoint_weights"):
        np.testing.assert_array_equal(ours[name], theirs[name])


@given(points_anywhere)
@settings(max_examples=60)
def test_heatmaps_equal_the_codecs(rows):
    codec, points, visible = EncodeTargets(HEATMAP).codec, *split(rows)
    ours, theirs = encode_heatmaps(points, visible, codec), codec.encode(points, visible)
    np.testing.assert_allclose(ours["heatmaps"], theirs["heatmaps"], atol=1e-6)
    np.testing.assert_array_equal(ours["keypoint_weights"], theirs["keypoint_weights"])
    assert ours["heatmaps"].dtype == theirs["heatmaps"].dtype == np.float32


def split(rows):
    array = np.array(rows, dtype=np.float32)[None]
    return array[..., :2], array[..., 2]


def test_other_codecs_encode_themselves():
    points = np.full((1, 2, 2), 30, np.float32)
    unbiased = {**HEATMAP, "unbiased": True}
    targets = encoded(unbiased, points, np.ones((1, 2), np.float32))
    expected = EncodeTargets(unbiased).codec.encode(points, np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(targets["heatmaps"], expected["heatmaps"])
    assert not np.array_equal(targets["heatmaps"], encoded(HEATMAP, points, np.ones((1, 2), np.float32))["heatmaps"])
