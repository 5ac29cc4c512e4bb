"""Training targets: what the network shall say about the keypoints of a crop."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.codecs import MSRAHeatmap, SimCCLabel
from mmpose.registry import KEYPOINT_CODECS, TRANSFORMS


@TRANSFORMS.register_module()
class EncodeTargets(BaseTransform):
    """Training targets of ``transformed_keypoints`` as the codec makes them, weighted by keypoint.

    Args:
        codec: The codec's config.
    """

    def __init__(self, codec: dict):
        self.codec = KEYPOINT_CODECS.build(codec)
        self.encode = _encoder_of(self.codec)

    def transform(self, results: dict) -> dict:
        points, visible = results["transformed_keypoints"], results["keypoints_visible"]
        if self.encode is not None:
            encoded = self.encode(points, visible, self.codec)
        else:
            encoded = self.codec.encode(keypoints=points, keypoints_visible=visible)
        weights = encoded["keypoint_weights"] * results["dataset_keypoint_weights"][None]
        encoded["keypoint_weights"] = weights.astype(np.float32)
        results.update(encoded)
        # where PackPoseInputs looks for the labels of this codec; an empty table would hide its defaults
        for name in ("label_mapping_table", "field_mapping_table", "instance_mapping_table"):
            if getattr(self.codec, name):
                results[name] = getattr(self.codec, name)
        return results


def _encoder_of(codec):
    """Ours for the codecs of the public weights, which MMPose encodes keypoint by keypoint; None for any other."""
    if isinstance(codec, SimCCLabel) and codec.smoothing_type == "gaussian":
        return encode_simcc
    if isinstance(codec, MSRAHeatmap) and not codec.unbiased and float(codec.sigma * 3).is_integer():
        return encode_heatmaps
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
    bins = np.around(np.asarray(codec.input_size) * codec.simcc_split_ratio).astype(int)
    middle = np.around(points[0] * codec.simcc_split_ratio).astype(np.int64)
    reach = codec.sigma * 3
    inside = ((middle - reach < bins) & (middle + reach + 1 >= 0)).all(axis=1)
    labelled = visible[0] >= 0.5
    weights = visible.copy()
    weights[0, labelled & ~inside] = 0
    labels = []
    for axis in (0, 1):
        distance = np.arange(bins[axis], dtype=np.float32) - middle[:, axis, None]
        label = np.exp(-(distance**2) / (2 * codec.sigma[axis] ** 2)).astype(np.float32)
        if codec.normalize:
            label /= codec.sigma[axis] * np.sqrt(np.pi * 2)
        label[~(labelled & inside)] = 0
        labels.append(label[None])
    return {"keypoint_x_labels": labels[0], "keypoint_y_labels": labels[1], "keypoint_weights": weights}


def encode_heatmaps(points: np.ndarray, visible: np.ndarray, codec) -> dict[str, np.ndarray]:
    """Heatmaps of MMPose's ``MSRAHeatmap``, all keypoints at once: a Gaussian is the product of its two profiles.

    Args:
        points: float [1, K, 2], input pixels.
        visible: float [1, K].
        codec: The ``MSRAHeatmap``; three of its sigmas must be whole cells.

    Returns:
        ``heatmaps`` [K, h, w] and ``keypoint_weights`` [1, K], float32, within 1e-6 of the codec's own.
    """
    cells = np.asarray(codec.heatmap_size)
    # truncated as the codec truncates, which rounds towards zero left of the picture
    middle = (points[0] / codec.scale_factor + 0.5).astype(np.int64)
    reach = int(codec.sigma * 3)
    inside = ((middle - reach < cells) & (middle + reach + 1 >= 0)).all(axis=1)
    labelled = visible[0] >= 0.5
    weights = visible.copy()
    weights[0, labelled & ~inside] = 0
    profiles = []
    for axis in (0, 1):
        distance = np.arange(cells[axis], dtype=np.float32) - middle[:, axis, None]
        profile = np.exp(-(distance**2) / (2 * codec.sigma**2)).astype(np.float32)
        profile[np.abs(distance) > reach] = 0
        profile[~(labelled & inside)] = 0
        profiles.append(profile)
    return {"heatmaps": profiles[1][:, :, None] * profiles[0][:, None, :], "keypoint_weights": weights}
