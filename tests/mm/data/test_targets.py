import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equistera import skeleton
from equistera.mm.data.targets import (
    EncodeTargets,
    _encoder_of,
    encode_heatmaps,
    encode_simcc,
    encode_udp,
    encode_unbiased,
)

HORSE = skeleton.load("horse26")
SIMCC = {"type": "SimCCLabel", "input_size": (64, 96), "sigma": (2.0, 3.0), "simcc_split_ratio": 2.0}
HEATMAP = {"type": "MSRAHeatmap", "input_size": (64, 96), "heatmap_size": (16, 24), "sigma": 2}
DARK, UDP = {**HEATMAP, "unbiased": True}, {**HEATMAP, "type": "UDPHeatmap"}
ENCODERS = [(HEATMAP, encode_heatmaps), (DARK, encode_unbiased), (UDP, encode_udp)]

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


@pytest.mark.parametrize("codec", [SIMCC, HEATMAP, DARK, UDP])
def test_targets_point_at_the_keypoints_and_carry_the_schemas_weights(codec):
    points = np.random.default_rng(0).uniform((4, 4), (60, 92), (1, 26, 2)).astype(np.float32)
    labelled = np.arange(26) != 3
    targets = encoded(codec, points, labelled[None].astype(np.float32))
    if codec is SIMCC:
        peaks = np.stack([targets["keypoint_x_labels"][0].argmax(1), targets["keypoint_y_labels"][0].argmax(1)], 1) / 2
    else:
        maps = targets["heatmaps"]
        peaks = np.stack(np.unravel_index(maps.reshape(26, -1).argmax(1), maps.shape[1:])[::-1], 1) * 4
    assert np.abs(peaks - points[0])[labelled].max() <= (0.5 if codec is SIMCC else 5)
    assert np.allclose(targets["keypoint_weights"][0], HORSE.weights * labelled)


@given(points_anywhere)
@settings(max_examples=60)
def test_simcc_targets_equal_the_codecs_to_the_bit(rows):
    codec, points, visible = EncodeTargets(SIMCC).codec, *split(rows)
    ours, theirs = encode_simcc(points, visible, codec), codec.encode(points, visible)
    for name in ("keypoint_x_labels", "keypoint_y_labels", "keypoint_weights"):
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize(("codec", "encode"), ENCODERS)
@given(rows=points_anywhere)
@settings(max_examples=60)
def test_heatmaps_equal_the_codecs(codec, encode, rows):
    codec, points, visible = EncodeTargets(codec).codec, *split(rows)
    ours, theirs = encode(points, visible, codec), codec.encode(points, visible)
    np.testing.assert_allclose(ours["heatmaps"], theirs["heatmaps"], atol=1e-6)
    np.testing.assert_array_equal(ours["keypoint_weights"], theirs["keypoint_weights"])
    assert ours["heatmaps"].dtype == theirs["heatmaps"].dtype == np.float32


def split(rows):
    array = np.array(rows, dtype=np.float32)[None]
    return array[..., :2], array[..., 2]


def test_other_codecs_encode_themselves():
    points = np.full((1, 2, 2), 30, np.float32)
    other = {"type": "MegviiHeatmap", "input_size": (64, 96), "heatmap_size": (16, 24), "kernel_size": 5}
    targets = encoded(other, points, np.ones((1, 2), np.float32))
    expected = EncodeTargets(other).codec.encode(points, np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(targets["heatmaps"], expected["heatmaps"])
    assert not np.array_equal(targets["heatmaps"], encoded(HEATMAP, points, np.ones((1, 2), np.float32))["heatmaps"])


@pytest.mark.parametrize(("codec", "encode"), ENCODERS)
@pytest.mark.parametrize("sigma", [1, 1.5, 2, 2.5])
def test_targets_are_highest_at_the_cell_of_the_keypoint_up_to_the_edges(codec, encode, sigma):
    """MMPose 1.3.2 puts them a cell too far from the left and the upper edge where three sigmas are no whole cells."""
    codec = EncodeTargets({**codec, "sigma": sigma}).codec
    cells = np.stack(np.meshgrid(np.arange(16), np.arange(24)), axis=-1).reshape(1, -1, 2)
    points = (cells * codec.scale_factor).astype(np.float32)
    maps = encode(points, np.ones(points.shape[:2], np.float32), codec)["heatmaps"]
    peaks = maps.reshape(len(maps), -1).argmax(axis=1)
    np.testing.assert_array_equal(np.stack([peaks % 16, peaks // 16], axis=1), cells[0])
    assert maps.max(axis=(1, 2)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("codec", "median", "worst"), [(HEATMAP, 1.9, 3), (DARK, 0.02, 0.1), (UDP, 0.02, 0.1)])
def test_what_is_decoded_is_what_was_encoded(codec, median, worst):
    """Pixels of the input, 12 cells from the edges: plain heatmaps round to cells of 4 pixels, the others do not."""
    codec = EncodeTargets({**codec, "input_size": (128, 128), "heatmap_size": (32, 32)}).codec
    points = np.random.default_rng(0).uniform(48, 80, (1, 200, 2)).astype(np.float32)
    visible = np.ones((1, 200), np.float32)
    found, scores = codec.decode(_encoder_of(codec)(points, visible, codec)["heatmaps"])
    # what decodes a UDP heatmap says it in shares of the box times the input's size
    spread = (127 / 128) if type(codec).__name__ == "UDPHeatmap" else 1
    off = np.linalg.norm(found * spread - points, axis=-1)
    assert np.median(off) < median
    assert off.max() < worst
    assert (scores > 0.9).all()
    theirs, _ = codec.decode(codec.encode(points, visible)["heatmaps"])
    np.testing.assert_allclose(found, theirs, atol=1e-4)
