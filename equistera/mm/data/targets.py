"""Training targets: what the network shall say about the keypoints of a crop."""

from __future__ import annotations

import functools
import math

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS, TRANSFORMS


@TRANSFORMS.register_module()
class EncodeTargets(BaseTransform):
    """Training targets of ``transformed_keypoints`` as the codec makes them, weighted by keypoint.

    Args:
        codec: The codec's config; None: the ``codec`` that the data set has put into the sample.
    """

    def __init__(self, codec: dict | None = None):
        self.codec = None if codec is None else KEYPOINT_CODECS.build(codec)

    def transform(self, results: dict) -> dict:
        points, visible = results["transformed_keypoints"], results["keypoints_visible"]
        codec = self.codec or results["codec"]
        encode = _encoder_of(codec)
        if encode is not None:
            encoded = encode(points, visible, codec)
        else:
            encoded = codec.encode(keypoints=points, keypoints_visible=visible)
        weights = encoded["keypoint_weights"] * results["dataset_keypoint_weights"][None]
        encoded["keypoint_weights"] = weights.astype(np.float32)
        results.update(encoded)
        # where PackPoseInputs looks for the labels of this codec; an empty table would hide its defaults
        for name in ("label_mapping_table", "field_mapping_table", "instance_mapping_table"):
            if getattr(codec, name):
                results[name] = getattr(codec, name)
        return results


def _encoder_of(codec):
    """Ours for the codecs of the public weights, which MMPose encodes keypoint by keypoint; None for any other."""
    if isinstance(codec, SimCCLabel) and codec.smoothing_type == "gaussian":
        return encode_simcc
    if isinstance(codec, MSRAHeatmap):
        return encode_unbiased if codec.unbiased else encode_heatmaps
    if isinstance(codec, UDPHeatmap) and codec.heatmap_type == "gaussian":
        return encode_udp
    return None


def encode_simcc(points: np.ndarray, visible: np.ndarray, codec) -> dict[str, np.ndarray]:
    """SimCC labels of MMPose's ``SimCCLabel`` with Gaussian smoothing, all keypoints at once.

    Args:
        points: float [1, K, 2], input pixels.
        visible: float [1, K].
        codec: The ``SimCCLabel``.

    Returns:
        ``keypoint_x_labels`` [1, K, w * ratio], ``keypoint_y_labels`` [1, K, h * ratio] and ``keypoint_weights``
        [1, K], float32, equal to the codec's own to the bit.
    """
    bins = [round(side * codec.simcc_split_ratio) for side in codec.input_size]
    middle = np.around(points[0] * codec.simcc_split_ratio).astype(np.int64)
    shown, weights = _shown(middle, visible, np.array(bins), codec.sigma * 3)
    x, y = (
        _profiles(middle[:, axis], shown, bins[axis], float(codec.sigma[axis]), normalize=codec.normalize)[None]
        for axis in (0, 1)
    )
    return {"keypoint_x_labels": x, "keypoint_y_labels": y, "keypoint_weights": weights}


def encode_heatmaps(points: np.ndarray, visible: np.ndarray, codec) -> dict[str, np.ndarray]:
    """Heatmaps of MMPose's ``MSRAHeatmap``, all keypoints at once: a Gaussian is the product of its two profiles.

    Args:
        points: float [1, K, 2], input pixels.
        visible: float [1, K].
        codec: The ``MSRAHeatmap``.

    Returns:
        ``heatmaps`` [K, h, w] and ``keypoint_weights`` [1, K], float32, within 1e-6 of the codec's own where three
        sigmas are whole cells. Where they are not, MMPose rounds the window towards the picture, which puts what is
        near its left and upper edge a cell too far inside (seen in 1.3.2 with sigma 1.5); here it is where it belongs.
    """
    width, height = (int(side) for side in codec.heatmap_size)
    # truncated as the codec truncates, which rounds towards zero left of the picture
    middle = (points[0] / codec.scale_factor + 0.5).astype(np.int64)
    sigma = float(codec.sigma)
    reach = _reach(sigma)
    shown, weights = _shown(middle, visible, np.array((width, height)), reach)
    across = _profiles(middle[:, 0], shown, width, sigma, reach)
    down = _profiles(middle[:, 1], shown, height, sigma, reach)
    # only the rows that the Gaussian touches; a row that is named twice gets the same values twice
    touched = np.clip(middle[:, 1, None] + np.arange(-reach, reach + 1), 0, height - 1)
    keypoint = np.arange(len(middle))[:, None]
    heatmaps = np.zeros((len(middle), height, width), np.float32)
    heatmaps[keypoint, touched] = down[keypoint, touched][:, :, None] * across[:, None]
    return {"heatmaps": heatmaps, "keypoint_weights": weights}


def encode_unbiased(points: np.ndarray, visible: np.ndarray, codec) -> dict[str, np.ndarray]:
    """As :func:`encode_heatmaps`, of an ``unbiased`` codec (DARK): Gaussians over the whole map, around the keypoint
    itself instead of its cell."""
    cells = points[0] / codec.scale_factor
    shown, weights = _shown(cells, visible, np.array(codec.heatmap_size), codec.sigma * 3)
    return {"heatmaps": _gaussians(cells, shown, codec), "keypoint_weights": weights}


def encode_udp(points: np.ndarray, visible: np.ndarray, codec) -> dict[str, np.ndarray]:
    """As :func:`encode_heatmaps`, of a ``UDPHeatmap``: Gaussians around the keypoint itself, cut off three sigmas from
    its cell."""
    cells = points[0] / codec.scale_factor
    middle = (cells + 0.5).astype(np.int64)
    reach = _reach(codec.sigma)
    shown, weights = _shown(middle, visible, np.array(codec.heatmap_size), reach)
    return {"heatmaps": _gaussians(cells, shown, codec, middle, reach), "keypoint_weights": weights}


def _reach(sigma: float) -> int:
    """Whole cells within three sigmas."""
    return math.floor(3 * sigma + 1e-9)


def _gaussians(
    cells: np.ndarray, shown: np.ndarray, codec, middle: np.ndarray | None = None, reach: int = 0
) -> np.ndarray:
    """float32 [K, h, w]: a Gaussian around each of ``cells`` [K, 2], or nothing where ``shown`` [K] says so.

    Given ``middle`` [K, 2], it is 0 more than ``reach`` cells from there along an axis.
    """
    profiles = []
    for axis, count in enumerate(codec.heatmap_size):
        places = np.arange(int(count), dtype=np.float32)
        profile = np.exp(-((places - cells[:, axis, None]) ** 2) / (2 * codec.sigma**2)).astype(np.float32)
        if middle is not None:
            profile[np.abs(places - middle[:, axis, None]) > reach] = 0
        profiles.append(profile)
    across, down = profiles
    return np.where(shown[:, None], down, 0)[:, :, None] * across[:, None]


def _shown(
    middle: np.ndarray, visible: np.ndarray, size: np.ndarray, reach: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Which keypoints get a target, bool [K], and the weights [1, K]: one that is too far outside has none."""
    inside = ((middle - reach < size) & (middle + reach + 1 >= 0)).all(axis=1)
    labelled = visible[0] >= 0.5
    weights = visible.copy()
    weights[0, labelled & ~inside] = 0
    return labelled & inside, weights


@functools.lru_cache(maxsize=16)
def _windows(count: int, sigma: float, reach: int | None, normalize: bool) -> np.ndarray:
    """Gaussian profiles of ``count`` cells around every middle that matters, as windows of one table.

    They are 0 beyond ``reach`` cells from the middle, if that is given; ``normalize`` makes the sum 1, not the peak.
    float32, read-only view [2 * margin + 1, count]: row ``margin - middle`` is the profile around ``middle``, the last
    row is 0.
    """
    margin = _margin(count, sigma)
    distance = np.arange(-margin, margin, dtype=np.float32)
    # a NumPy number, as the codec's: it makes the division and all that follows float64
    table = np.exp(-(distance**2) / (2 * np.float64(sigma) ** 2)).astype(np.float32)
    if normalize:
        table /= sigma * np.sqrt(np.pi * 2)
    if reach is not None:
        table[np.abs(distance) > reach] = 0
    return np.lib.stride_tricks.sliding_window_view(np.concatenate([table, np.zeros(count, np.float32)]), count)


def _margin(count: int, sigma: float) -> int:
    """How far to the left of a profile's beginning its middle lies at most, and to the right of its end."""
    return count + math.ceil(3 * sigma) + 1


def _profiles(
    middle: np.ndarray, shown: np.ndarray, count: int, sigma: float, reach: int | None = None, normalize: bool = False
) -> np.ndarray:
    """float32 [K, count]: a Gaussian around each ``middle`` [K], or nothing where ``shown`` [K] says so."""
    return _windows(count, sigma, reach, normalize)[np.where(shown, _margin(count, sigma) - middle, -1)]
