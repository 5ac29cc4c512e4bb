"""What MMPose and MMDetection import and a compiler-free install lacks.

Call :func:`install` before the first import of mmpose, mmdet or ``mmcv.ops``; ``import equistera.mm`` does it.

Modules are stood in for only where the real ones are not installed, but for one:

``mmcv._ext``
    mmcv's compiled operators. mmpose and mmdet import them although pose models use none and a detector only NMS.
    The stand-in answers ``nms`` with torchvision's, and ``mmcv.ops`` gets its deformable convolutions (DEKR's); any
    other operator raises when it is called.
``imgaug``
    mmdet imports it for the augmentation of road lanes, which nothing here uses; it would bring numba and half a
    gigabyte along. Whatever is taken from the stand-in raises when it is called.
``modelindex``
    mmpretrain imports it for its catalogue of models, which nothing here uses. Whatever is taken from the stand-in
    raises when it is called.
``mmpretrain.models.multimodal``
    Even where it is installed: it cannot be imported beside transformers 5, and mmdet and mmpretrain import it whatever
    they are asked for. Networks that look at pictures alone need nothing of it.
``xtcocotools``
    A fork of pycocotools whose wheels need NumPy 1. pycocotools has the same classes, but for what the fork's
    ``COCOeval`` adds, which is ``equistera.mm.coco_evaluation``.

And one function is made faster: MMEngine lays out the whole config as Python code each time that something asks for its
text, six times before a run's first step and always the same; it is done once.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
from typing import Any

from yapf.yapflib import yapf_api

_EXT = "mmcv._ext"


class _StandIn(types.ModuleType):
    """A module whose unknown attributes are functions that refuse to run."""

    def __init__(self, name: str, advice: str):
        super().__init__(name, f"Stand-in made by {__name__}")
        # mmcv asks importlib for the module, and importlib asks for its spec
        self.__spec__ = importlib.machinery.ModuleSpec(name, loader=None, is_package=True)
        self.__path__: list[str] = []
        self._advice = advice

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_args, **_kwargs):
            raise RuntimeError(f"{self.__name__}.{name} is not installed; {self._advice}")

        return missing


def _nms(bboxes, scores, iou_threshold: float, offset: int):
    """NMS as ``mmcv._ext.nms`` defines it: positions of the boxes [N, 4] that are kept, int64, best first.

    ``offset`` is 1 where x2 and y2 are the last pixel inside the box, else 0.
    """
    from torchvision.ops import nms

    if offset:
        bboxes = bboxes.clone()
        bboxes[:, 2:] += offset
    return nms(bboxes, scores, iou_threshold)


def _deform_conv2d(input, offset, weight, stride=1, padding=0, dilation=1, *_):
    """``mmcv.ops.deform_conv2d``; its numbers of groups follow from the shapes."""
    from torchvision.ops import deform_conv2d

    return deform_conv2d(input, offset, weight, None, stride, padding, dilation)


def has_compiled_mmcv() -> bool:
    """Whether mmcv's own operators are installed."""
    mmcv = importlib.util.find_spec("mmcv")
    if mmcv is None or not mmcv.submodule_search_locations:
        return False
    return importlib.machinery.PathFinder.find_spec(_EXT, mmcv.submodule_search_locations) is not None


def install() -> None:
    """Puts the stand-ins into ``sys.modules`` where they are needed; does nothing the second time."""
    # importing albumentations would otherwise ask the network for a newer version
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    if _EXT not in sys.modules and not has_compiled_mmcv():
        operators: Any = _StandIn(_EXT, "run ./setup.sh --compiled-mmcv to build mmcv's operators")
        operators.nms = _nms
        sys.modules[_EXT] = operators
        for name in ("mmcv.ops", "mmcv.ops.deform_conv", "mmcv.ops.saconv"):
            importlib.import_module(name).deform_conv2d = _deform_conv2d  # type: ignore[attr-defined]
    if _is_missing("imgaug"):
        for name in ("", ".augmenters", ".augmentables", ".augmentables.lines", ".augmentables.segmaps"):
            sys.modules["imgaug" + name] = _StandIn("imgaug" + name, "pip install imaug brings it")
    if _is_missing("modelindex"):
        for name in ("", ".load_model_index", ".models", ".models.Model"):
            sys.modules["modelindex" + name] = _StandIn("modelindex" + name, "pip install model-index brings it")
    multimodal = "mmpretrain.models.multimodal"
    if multimodal not in sys.modules:
        sys.modules[multimodal] = _StandIn(multimodal, "this project does without it")
    if _is_missing("xtcocotools"):
        for name in ("", ".coco", ".mask"):
            sys.modules["xtcocotools" + name] = importlib.import_module("pycocotools" + name)
        sys.modules["xtcocotools.cocoeval"] = importlib.import_module("equistera.mm.coco_evaluation")
    if yapf_api.FormatCode.__module__ != __name__:
        _lay_out_once()


def _lay_out_once() -> None:
    lay_out, done = yapf_api.FormatCode, {}

    def once(text: str, **how):
        key = (text, repr(how))
        if key not in done:
            done.clear()  # a process has one config
            done[key] = lay_out(text, **how)
        return done[key]

    yapf_api.FormatCode = once


def _is_missing(module: str) -> bool:
    return module not in sys.modules and importlib.util.find_spec(module) is None
