"""The sample path: picture and box in, augmented crop out; ``targets.py`` makes the targets of it.

Geometry is drawn first and carried out once: flip, shift, scale and rotation become one affine warp straight from
the photo to the network's input, for picture and keypoints alike. Photometric changes then touch the small crop
only. Every draw comes from the sample's own ``rng``.
"""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_warp_matrix

from equistera.augmentation import Augmentation
from equistera.errors import UserError

#: Share of the box that the crop shows around it on each axis: MMPose's default, which the public weights saw.
BOX_PADDING = 1.25
#: A half-body crop needs this many labelled keypoints in all, and this many in the half that is kept.
HALF_BODY_TOTAL, HALF_BODY_KEPT = 9, 3
#: OpenCV's flag for decoding at 1/factor.
_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}
#: Padding around the kept half (MMPose's default).
HALF_BODY_PADDING = 1.5


@TRANSFORMS.register_module()
class DrawGeometry(BaseTransform):
    """Decides where the crop lies: ``bbox_center`` [1, 2], ``bbox_scale`` [1, 2], ``bbox_rotation`` [1], ``flip``.

    Draws from the sample's ``augmentation`` with its ``rng``; a sample without them gives the padded box itself.
    ``drawn`` says what came of it.
    """

    def transform(self, results: dict) -> dict:
        drawn: Augmentation | None = results.get("augmentation")
        x1, y1, x2, y2 = results["bbox"][0]
        center = np.array([x1 + x2, y1 + y2], dtype=np.float32) / 2
        scale = np.array([x2 - x1, y2 - y1], dtype=np.float32) * BOX_PADDING
        if drawn is not None:
            rng = results["rng"]
            # every draw is made whatever comes of it, so that changing one probability leaves the others alone
            half, flip = rng.random(2) < (drawn.half_body, drawn.flip)
            upper = rng.random() < 0.5
            shift, factor = rng.uniform(-drawn.shift, drawn.shift, 2), rng.uniform(*drawn.scale)
            rotation = rng.uniform(-drawn.rotation, drawn.rotation)
            results["drawn"] = {"rotation": rotation, "scale": factor, "shift": shift} | (
                {"flip": True} if flip else {}
            )
            if half:
                whole = scale
                center, scale = self._half_body(results, bool(upper), center, scale)
                if scale is not whole:
                    results["drawn"]["half_body"] = "upper" if upper else "lower"
            center = (center + scale / BOX_PADDING * shift).astype(np.float32)
            scale = (scale * factor).astype(np.float32)
        else:
            flip, rotation = False, 0.0
        results["bbox_center"], results["bbox_scale"] = center[None], scale[None]
        results["bbox_rotation"] = np.array([rotation], dtype=np.float32)
        results["flip"], results["flip_direction"] = bool(flip), "horizontal" if flip else None
        return results

    @staticmethod
    def _half_body(results: dict, upper: bool, center: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labelled = results["keypoints_visible"][0] > 0
        if labelled.sum() < HALF_BODY_TOTAL:
            return center, scale
        ids = np.array(results["upper_body_ids" if upper else "lower_body_ids"], dtype=int)
        points = results["keypoints"][0][ids[labelled[ids]]] if len(ids) else np.empty((0, 2))
        if len(points) < HALF_BODY_KEPT:
            return center, scale
        low, high = points.min(axis=0), points.max(axis=0)
        # three points in a row would make a crop of no height
        size = np.maximum(high - low, 0.2 * scale / BOX_PADDING)
        return ((low + high) / 2).astype(np.float32), (size * HALF_BODY_PADDING).astype(np.float32)


@TRANSFORMS.register_module()
class LoadPicture(BaseTransform):
    """Decodes ``img_path`` to BGR uint8 [H, W, 3] as ``img``; EXIF orientation is applied.

    Where the drawn crop needs no more, the picture is decoded at a half, a quarter or an eighth: a fraction of the
    work on a JPEG from a phone, and smoother than leaving out pixels. ``decode_scale`` says by which factor.

    Args:
        codec: The codec's config; the crop's size is its ``input_size``.

    Raises:
        UserError: The picture cannot be decoded.
    """

    def __init__(self, codec: dict):
        self.input_size = codec["input_size"]

    def transform(self, results: dict) -> dict:
        factor = decode_factor(results["bbox_scale"][0], self.input_size)
        picture = cv2.imread(str(results["img_path"]), _REDUCED.get(factor, cv2.IMREAD_COLOR))
        if picture is None:
            raise UserError(
                f"cannot decode {results['img_path']}",
                hint="tools/verify_dataset.py names every unreadable picture of a data set",
            )
        results["img"], results["decode_scale"] = picture, 1 / factor
        results["ori_shape"] = results["img_shape"] = picture.shape[:2]
        return results


def decode_factor(bbox_scale: np.ndarray, input_size: tuple[int, int]) -> int:
    """1, 2, 4 or 8: how much smaller a picture can be decoded and still be no smaller than the crop.

    Args:
        bbox_scale: Width and height of the region, pixels of the whole picture.
        input_size: Width and height of the crop.
    """
    width, height = input_size
    needed = _with_aspect_ratio(bbox_scale, width / height)[0] / width
    return next((factor for factor in _REDUCED if factor <= needed), 1)


@TRANSFORMS.register_module()
class CropToInput(BaseTransform):
    """Warps the drawn region to the network's input and takes the keypoints along.

    Sets ``img`` uint8 [h, w, 3], ``transformed_keypoints`` [1, K, 2] in input pixels, ``input_size``,
    ``input_center`` and ``input_scale``. A flip mirrors the crop and exchanges left and right keypoints.

    Args:
        codec: The codec's config; ``input_size`` (w, h) is read from it.
    """

    def __init__(self, codec: dict):
        self.input_size = tuple(int(side) for side in codec["input_size"])

    def transform(self, results: dict) -> dict:
        width, height = self.input_size
        center = results["bbox_center"][0]
        scale = _with_aspect_ratio(results["bbox_scale"][0], width / height)
        warp = get_warp_matrix(center, scale, float(results["bbox_rotation"][0]), self.input_size)
        if results["flip"]:
            warp = np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]]) @ np.vstack([warp, (0, 0, 1)])
        factor = 1 / results.get("decode_scale", 1.0)
        # pixel i of the smaller picture is centred on i * factor + (factor - 1) / 2 of the whole one
        from_decoded = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1]])
        results["img"] = cv2.warpAffine(results["img"], warp @ from_decoded, (width, height), flags=cv2.INTER_LINEAR)
        if "keypoints" in results:
            points = results["keypoints"] @ warp[:, :2].T.astype(np.float32) + warp[:, 2].astype(np.float32)
            if results["flip"]:
                swap = results["flip_indices"]
                points = points[:, swap]
                results["keypoints_visible"] = results["keypoints_visible"][:, swap]
            results["transformed_keypoints"] = points
        results["bbox_scale"] = scale[None]
        results["input_size"], results["input_center"], results["input_scale"] = self.input_size, center, scale
        return results


def _with_aspect_ratio(scale: np.ndarray, ratio: float) -> np.ndarray:
    """The smallest box around ``scale`` (w, h) with w / h = ratio."""
    width, height = scale
    if width > height * ratio:
        return np.array([width, width / ratio], dtype=np.float32)
    return np.array([height * ratio, height], dtype=np.float32)
