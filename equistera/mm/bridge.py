"""What MMPose needs and a compiler-free install lacks.

Call :func:`install` before the first import of mmpose, mmdet or ``mmcv.ops``; ``import equistera.mm`` does it.

Two modules are stood in for, each only where the real one is not installed:

``mmcv._ext``
    mmcv's compiled operators. mmpose and mmdet import them although pose models use none and a detector only NMS.
    The stand-in answers ``nms`` with torchvision's; any other operator raises when it is called.
``xtcocotools``
    A fork of pycocotools whose wheels need NumPy 1. mmpose imports its COCO classes; pycocotools has the same ones.
    This project evaluates with pycocotools itself (``equistera.evaluation``).
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types

_EXT = "mmcv._ext"


class _MissingOperators(types.ModuleType):
    """Module whose attributes are operators that refuse to run."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_args, **_kwargs):
            raise RuntimeError(
                f"mmcv's operator {name!r} is compiled code that is not installed; "
                "run ./setup.sh --compiled-mmcv to build mmcv's operators"
            )

        missing.__name__ = name
        return missing


def _nms(bboxes, scores, iou_threshold: float, offset: int):
    """NMS as ``mmcv._ext.nms`` defines it.

    Args:
        bboxes: Tensor [N, 4], x1, y1, x2, y2.
        scores: Tensor [N].
        iou_threshold: Boxes that overlap a better one by more are dropped.
        offset: 1 where x2 and y2 are the last pixel inside the box, else 0.

    Returns:
        int64 tensor, the positions of the boxes kept, best first.
    """
    from torchvision.ops import nms

    if offset:
        bboxes = bboxes.clone()
        bboxes[:, 2:] += offset
    return nms(bboxes, scores, iou_threshold)


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
        operators = _MissingOperators(_EXT, "Stand-in for mmcv's compiled operators; see equistera/mm/bridge.py")
        operators.__spec__ = importlib.machinery.ModuleSpec(_EXT, loader=None)
        operators.nms = _nms
        sys.modules[_EXT] = operators
    if "xtcocotools" not in sys.modules and importlib.util.find_spec("xtcocotools") is None:
        for name in ("", ".coco", ".cocoeval", ".mask"):
            sys.modules["xtcocotools" + name] = importlib.import_module("pycocotools" + name)
