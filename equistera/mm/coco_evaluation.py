"""xtcocotools' ``COCOeval`` by means of pycocotools', for MMPose's ``CocoMetric`` and those that build on it.

What the fork adds (https://github.com/jin-s13/xtcocoapi, ``xtcocotools/cocoeval.py``): sigmas and the kind of keypoints
as arguments, areas from boxes where a data set has none, whole bodies in parts, and CrowdPose's three kinds of
pictures. All of it is said of the annotations here, so that pycocotools computes on what it knows.
"""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Iterator, Sequence

import numpy as np
from pycocotools import cocoeval
from pycocotools.coco import COCO

#: Fields that hold the keypoints of a kind, joined in this order, and the score of a detection.
_BODY = ("keypoints",)
_PARTS = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
_KINDS = {
    "keypoints": (_BODY, "score"),
    "keypoints_crowd": (_BODY, "score"),
    "keypoints_body": (_BODY, "score"),
    **{f"keypoints_{name.removesuffix('_kpts')}": ((name,), f"{name.removesuffix('_kpts')}_score") for name in _PARTS},
    "keypoints_wholebody": (_BODY + _PARTS, "wholebody_score"),
}

#: Area of a person as a share of its box, where annotations have no area: xtcocotools' constant.
_SHARE_OF_BOX = 0.53
#: Crowd indices from which a picture of CrowdPose is of medium and of hard kind (https://arxiv.org/abs/1812.00324).
_MEDIUM, _HARD = 0.2, 0.8


class COCOeval(cocoeval.COCOeval):
    """Evaluates keypoints as xtcocotools does; other kinds (``bbox``, ``segm``) as pycocotools does.

    Args:
        cocoGt: Annotations; not changed.
        cocoDt: Detections, as ``loadRes`` gives them; not changed.
        iouType: ``keypoints``, ``keypoints_crowd``, or of a whole body ``keypoints_body``, ``_foot``, ``_face``,
            ``_lefthand``, ``_righthand`` and ``_wholebody``.
        sigmas: float [K]; None for those of COCO's persons.
        use_area: Whether annotations have an area; otherwise it follows from the box.
    """

    def __init__(
        self,
        cocoGt: COCO,
        cocoDt: COCO,
        iouType: str = "keypoints",
        sigmas: Sequence[float] | None = None,
        use_area: bool = True,
    ):
        if iouType not in _KINDS:
            super().__init__(cocoGt, cocoDt, iouType)
            return
        fields, score = _KINDS[iouType]
        annotations = list(_annotations(cocoGt, fields, use_area, counted=iouType != "keypoints_crowd"))
        detections = [
            {**_joined(found, fields), "score": found.get(score, found["score"])}
            for found in cocoDt.dataset["annotations"]
        ]
        # one that is sure of nothing was not found
        detections = [found for found in detections if np.any(np.array(found["keypoints"][2::3]) > 0)]
        super().__init__(_like(cocoGt, annotations), _like(cocoDt, detections), "keypoints")
        if sigmas is not None:
            self.params.kpt_oks_sigmas = np.asarray(sigmas, dtype=float)
        self.crowds = iouType == "keypoints_crowd"

    stats: np.ndarray

    def summarize(self) -> None:
        """Sets ``stats``: AP, AP50, AP75, AP and AR of medium and large ones, AR..., or those of CrowdPose."""
        super().summarize()
        if self.params.iouType == "keypoints" and self.crowds:
            ap, ar = self.stats[:3], self.stats[5:8]
            self.stats = np.array([*ap, *ar, *self._by_crowd()])

    def _by_crowd(self) -> list[float]:
        """AP on the pictures of easy, medium and hard kind, to four digits."""
        found = []
        for low, high in ((-np.inf, _MEDIUM), (_MEDIUM, _HARD), (_HARD, np.inf)):
            pictures = [image["id"] for image in self.cocoGt.dataset["images"] if low <= image["crowdIndex"] < high]
            part = copy.copy(self)
            part.params = copy.deepcopy(self.params)
            part.params.imgIds = pictures
            with contextlib.redirect_stdout(io.StringIO()):
                part.evaluate()
                part.accumulate()
            found.append(round(float(np.mean(part.eval["precision"][:, :, :, 0, :])), 4))
        return found


def _annotations(truth: COCO, fields: Sequence[str], use_area: bool, counted: bool) -> Iterator[dict]:
    # ids from 1: pycocotools marks a detection as matched by the annotation's id and reads 0 as "not matched"
    for number, annotation in enumerate(truth.dataset["annotations"], start=1):
        joined = {**_joined(annotation, fields), "id": number}
        if counted:
            joined["num_keypoints"] = int(np.count_nonzero(np.array(joined["keypoints"][2::3]) > 0))
        if not use_area or "area" not in joined:
            joined["area"] = joined["bbox"][2] * joined["bbox"][3] * _SHARE_OF_BOX
        yield joined


def _joined(entry: dict, fields: Sequence[str]) -> dict:
    return {**entry, "keypoints": [value for name in fields for value in entry[name]]}


def _like(coco: COCO, annotations: list[dict]) -> COCO:
    """The same pictures and categories with other annotations."""
    made = COCO()
    made.dataset = {**coco.dataset, "annotations": annotations}
    with contextlib.redirect_stdout(io.StringIO()):
        made.createIndex()
    return made
