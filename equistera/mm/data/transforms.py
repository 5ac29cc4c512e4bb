"""The sample path: picture and box in, augmented crop out; ``targets.py`` makes the targets of it.

Geometry is drawn first and carried out once: flip, shift, scale and rotation become one affine warp straight from
the photo to the network's input, for picture and keypoints alike. Photometric changes then touch the small crop
only. Every draw comes from the sample's own ``rng``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from equistera.augmentation import Augmentation
from equistera.crops.decoding import ToPhoto, warp
from equistera.crops.geometry import (
    BOX_PADDING,
    half_body_box,
    padded_box,
    presets_of,
    view_to_input,
    with_aspect_ratio,
)
from equistera.crops.request import Animal, Request, cut_whole
from equistera.crops.store import DecodedCrops
from equistera.dataset.images import ImageHeader
from equistera.mm.data.codecs import uses_udp


@TRANSFORMS.register_module()
class DrawGeometry(BaseTransform):
    """Decides where the crop lies: ``bbox_center`` [1, 2], ``bbox_scale`` [1, 2], ``bbox_rotation`` [1], ``flip``.

    Draws from the sample's ``augmentation`` with its ``rng``; a sample without them gives the padded box itself, with
    ``view`` times its sides. ``drawn`` says what came of it.
    """

    def transform(self, results: dict) -> dict:
        drawn: Augmentation | None = results.get("augmentation")
        center, scale = padded_box(results["bbox"][0])
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
                ids = results["upper_body_ids" if upper else "lower_body_ids"]
                found = half_body_box(results["keypoints"][0], results["keypoints_visible"][0], ids, scale)
                if found is not None:
                    center, scale = found
                    results["drawn"]["half_body"] = "upper" if upper else "lower"
            center = (center + scale / BOX_PADDING * shift).astype(np.float32)
            scale = (scale * factor).astype(np.float32)
        else:
            flip, rotation = False, 0.0
            scale = scale * np.float32(results.get("view", 1.0))
        results["bbox_center"], results["bbox_scale"] = center[None], scale[None]
        results["bbox_rotation"] = np.array([rotation], dtype=np.float32)
        results["flip"], results["flip_direction"] = bool(flip), "horizontal" if flip else None
        return results


@TRANSFORMS.register_module()
class LoadPicture(BaseTransform):
    """Takes the part of the photo around the sample's box: uint8 [H, W, 3] as ``img``, BGR if it comes from a file.

    A data set says where its pixels come from (``crop``: the crop cache or the photo). Of a picture that MMPose's
    tools hand over, as ``img`` or by ``img_path``, the same pixels are cut for the sample's ``input_size``.
    ``to_photo`` says how they map to the photo's: scale and offset in x and in y.

    Raises:
        UserError: The photo cannot be decoded.
    """

    def transform(self, results: dict) -> dict:
        results["img"], results["to_photo"] = results["crop"]() if "crop" in results else self._cut(results)
        results["ori_shape"] = results["img_shape"] = results["img"].shape[:2]
        return results

    @staticmethod
    def _cut(results: dict) -> tuple[np.ndarray, ToPhoto]:
        nothing = np.empty((0, 2))
        animal = Animal(results.get("img_path", ""), results["bbox"][0], nothing, nothing[:, 0])
        request = Request("", [animal], (), presets_of(results.get("views", ())), results["input_size"])
        if "img" not in results:
            return DecodedCrops(request)[0]
        height, width = results["img"].shape[:2]
        # a JPEG's decoder would average blocks, and so does cut_whole
        crop = request.crop(0, ImageHeader(width, height, 1, "JPEG"))
        return cut_whole(results["img"], crop), crop.to_photo


@TRANSFORMS.register_module()
class CropToInput(BaseTransform):
    """Warps the drawn region to the network's input and takes the keypoints along.

    Sets ``img`` uint8 [h, w, 3], ``transformed_keypoints`` [1, K, 2] in input pixels, ``input_size``,
    ``input_center`` and ``input_scale``. A flip mirrors the crop and exchanges left and right keypoints. A photo that
    becomes smaller is averaged, not sampled.

    Args:
        codec: A codec's config, whose ``input_size`` (w, h) counts and whether it is UDP's; None: the sample's
            ``input_size`` and ``use_udp``, which the data set or the network has put into it.
    """

    def __init__(self, codec: dict | None = None):
        self.input_size: Any = None if codec is None else tuple(int(side) for side in codec["input_size"])
        self.use_udp = None if codec is None else uses_udp(codec)

    def transform(self, results: dict) -> dict:
        width, height = input_size = self.input_size or results["input_size"]
        udp = results.get("use_udp", False) if self.use_udp is None else self.use_udp
        scale = with_aspect_ratio(results["bbox_scale"][0], width / height)
        rotation = float(results["bbox_rotation"][0])
        matrix = view_to_input(results["bbox_center"][0], scale, rotation, input_size, udp)
        if results["flip"]:
            matrix[0] *= -1
            matrix[0, 2] += width - 1
        from_image = matrix
        if "to_photo" in results:
            scales, offsets = np.asarray(results["to_photo"], dtype=np.float64).T
            from_image = np.column_stack([matrix[:, :2] * scales, matrix[:, :2] @ offsets + matrix[:, 2]])
        results["img"] = warp(results["img"], from_image, input_size)
        if "keypoints" in results:
            points = (results["keypoints"] @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
            if results["flip"]:
                swap = results["flip_indices"]
                points = points[:, swap]
                results["keypoints_visible"] = results["keypoints_visible"][:, swap]
            results["transformed_keypoints"] = points
        results["bbox_scale"] = scale[None]
        results["input_size"], results["input_center"] = input_size, results["bbox_center"][0]
        results["input_scale"] = scale
        return results
