"""Any transforms of albumentations in a config, with the keypoints, the seed and the checks that they need."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import albumentations as A
import cv2
import numpy as np
from albumentations.augmentations.geometric.distortion import BaseDistortion
from albumentations.core.composition import BaseCompose
from albumentations.core.transforms_interface import BasicTransform
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import Albumentation
from mmpose.registry import TRANSFORMS
from pydantic import ValidationError

from equistera.errors import UserError
from equistera.words import did_you_mean

if not hasattr(A.augmentations, "transforms"):
    # MMPose's Albumentation looks there for what changes pixels alone, and albumentations 2 has no such module
    A.augmentations.transforms = A

#: Draws after which a transform that can mirror or resize has shown it: each of D4's is seen with p > 0.9999.
_TRIALS = 16


@TRANSFORMS.register_module()
class FromAlbumentations(BaseTransform):
    """Applies transforms of albumentations to the crop: geometric ones move the keypoints with the picture.

    Stands after ``CropToInput``. A point that leaves the crop, or that lay outside it, is no longer labelled. Draws
    come from the sample's ``rng``, so a sample can be made again; what was applied is added to ``drawn``.

    Args:
        codec: The codec's config; the crop's size is its ``input_size``.
        transforms: ``dict(type=NAME, argument=value, ...)`` each; ``OneOf`` and the like take ``transforms`` in turn.

    Raises:
        UserError: A transform or an argument that the installed albumentations does not know, a value that it
            refuses, or a transform that mirrors or resizes the crop.

    Examples:
        In a config's pipeline, which fills in the codec::

            dict(type="FromAlbumentations", codec=None, transforms=[dict(type="Perspective", scale=(0.02, 0.08))])
    """

    def __init__(self, codec: dict, transforms: Sequence[Mapping]):
        self.input_size: Any = tuple(int(side) for side in codec["input_size"])
        problems: list[str] = []
        built = [_build(settings, f"transforms.{i}", problems) for i, settings in enumerate(transforms)]
        _refuse("FromAlbumentations", problems)
        unfit = [(type(transform).__name__, _unfit(transform, self.input_size)) for transform in built]
        _refuse("FromAlbumentations", [f"{name}: {problem}" for name, problem in unfit if problem])
        self.compose = _compose(built)

    def transform(self, results: dict) -> dict:
        points = results["transformed_keypoints"]
        self.compose.set_random_seed(int(results["rng"].integers(2**31)))
        done = self.compose(image=results["img"], keypoints=points[0])
        moved = np.asarray(done["keypoints"], dtype=np.float32).reshape(points.shape)
        inside = self._inside(points) & self._inside(moved)
        results["img"], results["transformed_keypoints"] = done["image"], moved
        results["keypoints_visible"] = results["keypoints_visible"] * inside
        results.setdefault("drawn", {}).update((name, True) for name, _ in done["applied_transforms"])
        return results

    def _inside(self, points: np.ndarray) -> np.ndarray:
        return ((points >= -0.5) & (points < np.array(self.input_size) - 0.5)).all(axis=-1)


@TRANSFORMS.register_module(name="Albumentation", force=True)
class CheckedAlbumentation(Albumentation):
    """MMPose's transform, which refuses what albumentations 2 would only warn of, and then do something else.

    MMPose's configs name the holes of ``CoarseDropout`` as albumentations 1 did; they are taken for what they mean.
    """

    def albu_builder(self, cfg: Mapping) -> BasicTransform | BaseCompose:
        problems: list[str] = []
        built = _build(_in_words_of_2(cfg), "transforms", problems)
        _refuse("Albumentation", problems)
        return built


def _refuse(transform: str, problems: list[str]) -> None:
    if problems:
        raise UserError(f"{transform} (albumentations {A.__version__}):", problems)


def _in_words_of_2(settings: Mapping) -> dict:
    said = dict(settings)
    if "transforms" in said:
        said["transforms"] = [_in_words_of_2(inner) for inner in said["transforms"]]
    if said.get("type") == "CoarseDropout":
        for old, new in (("holes", "num_holes"), ("height", "hole_height"), ("width", "hole_width")):
            most = said.pop(f"max_{old}", None)
            if most is not None:
                said[f"{new}_range"] = (said.pop(f"min_{old}", most), most)
    return said


class _FollowsTheMap:
    """Moves keypoints by solving the distortion's own map, ``map(moved) = keypoint``.

    albumentations 2.0.8 takes the map's shift at the keypoint instead, and was seen to be 2.5 pixels off on a crop of
    96 pixels; its other way (``keypoint_remapping_method="mask"``) loses keypoints.
    """

    def apply_to_keypoints(
        self, keypoints: np.ndarray, map_x: np.ndarray, map_y: np.ndarray, **params: object
    ) -> np.ndarray:
        wanted = keypoints[:, :2].astype(np.float32)
        moved = wanted.copy()
        # beyond the rim the shift is that of the rim; each round leaves what the map's gradient differs from 1
        for _ in range(12):
            ends = np.clip(moved, 0, np.array(map_x.shape[::-1]) - 1).astype(np.float32)
            source = [
                cv2.remap(m.astype(np.float32), ends[:, None], None, cv2.INTER_LINEAR)[:, 0] for m in (map_x, map_y)
            ]
            moved = wanted + ends - np.stack(source, axis=1)
        return np.hstack([moved, keypoints[:, 2:]])


def _compose(transforms: list) -> A.Compose:
    with warnings.catch_warnings():
        # transforms that only change pixels are welcome too
        warnings.filterwarnings("ignore", message="Got processor for keypoints, but no transform")
        return A.Compose(
            transforms,
            keypoint_params=A.KeypointParams(format="xy", remove_invisible=False),
            save_applied_params=True,
            strict=True,
        )


def _build(settings: object, where: str, problems: list[str]) -> BasicTransform | BaseCompose | None:
    """The transform that ``settings`` describe, or None and findings."""
    if not isinstance(settings, Mapping) or not isinstance(settings.get("type"), str):
        problems.append(f"{where}: expected dict(type=NAME, ...), found {settings!r}")
        return None
    arguments = {key: value for key, value in settings.items() if key != "type"}
    name = settings["type"]
    cls = getattr(A, name, None)
    if not (inspect.isclass(cls) and issubclass(cls, (BasicTransform, BaseCompose))):
        names = [n for n, value in vars(A).items() if inspect.isclass(value) and issubclass(value, BasicTransform)]
        problems.append(f"{where}: no transform {name!r}{did_you_mean(name, names)}")
        return None
    known = inspect.signature(cls.__init__).parameters
    unknown = [key for key in arguments if key not in known]
    problems += [f"{where}: {name} has no argument {key!r}{did_you_mean(key, list(known)[1:])}" for key in unknown]
    if issubclass(cls, BaseCompose):
        inner = arguments.get("transforms") or []
        if not inner:
            problems.append(f"{where}: {name} needs transforms=[...]")
        arguments["transforms"] = [_build(s, f"{where}.transforms.{i}", problems) for i, s in enumerate(inner)]
    if problems:
        return None
    if issubclass(cls, BaseDistortion):
        cls = type(name, (_FollowsTheMap, cls), {})
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:
        problems.append(f"{where}: {name} refuses its arguments: {_reason(error)}")
        return None


def _reason(error: Exception) -> str:
    """One line of what pydantic, which albumentations checks with, spreads over many."""
    if isinstance(error.__cause__, ValidationError):
        return "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.__cause__.errors())
    return str(error)


def _unfit(transform: BasicTransform | BaseCompose, size: tuple[int, int]) -> str:
    """What makes a transform useless here, seen by trying it on a triangle in the middle of a crop."""
    width, height = size
    triangle = np.array([[0.35, 0.35], [0.65, 0.35], [0.35, 0.65]], dtype=np.float32) * size
    trial = copy.deepcopy(transform)
    trial.p = 1.0
    compose = _compose([trial])
    for seed in range(_TRIALS):
        compose.set_random_seed(seed)
        try:
            done = compose(image=np.zeros((height, width, 3), np.uint8), keypoints=triangle)
        except (KeyError, NotImplementedError, TypeError, ValueError) as error:
            return f"cannot be applied to a picture with keypoints: {error}"
        if done["image"].shape != (height, width, 3):
            h, w = done["image"].shape[:2]
            return f"changes the size of the crop from {width}x{height} to {w}x{h}"
        if len(done["keypoints"]) != len(triangle):
            return "loses keypoints"
        if np.linalg.det(np.diff(done["keypoints"], axis=0)) < 0:
            return "mirrors the crop, but left and right keypoints would not change places: use the preset's 'flip'"
    return ""
