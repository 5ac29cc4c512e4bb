"""Finding horses with an RTMDet of MMDetection (Lyu et al. 2022) that was trained on COCO's 80 classes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import mmdet
import numpy as np
import torch
from mmcv.ops import nms
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from equistera.checkpoints import detector_weights
from equistera.drawing import fitted
from equistera.errors import UserError
from equistera.frames import Frame
from equistera.mm.network import checkpoint
from equistera.mm.prediction.stream import Box

#: COCO's animals by their place among its 80 classes (https://cocodataset.org, "thing" classes in order of their ids).
CLASSES = {
    name: 14 + i
    for i, name in enumerate(("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"))
}
#: MMDetection's own config of each of :data:`equistera.checkpoints.DETECTORS`.
CONFIGS = {"rtmdet": "rtmdet_m_8xb32-300e_coco.py", "rtmdet_tiny": "rtmdet_tiny_8xb32-300e_coco.py"}
SIDE = 640
#: Grey of the padding that the public weights were trained with.
PADDING = 114
#: Pictures that go through the detector together: its activations are ten times a pose model's.
BATCH = 4
#: Overlap from which two boxes are one animal: MMDetection's for RTMDet.
SAME_ANIMAL = 0.65


def network(detector: str) -> ConfigDict:
    """Config of a detector's network, as MMDetection's registry builds it: its own, for prediction on one device."""
    folder = Path(mmdet.__file__).parent / ".mim" / "configs" / "rtmdet"
    config = Config.fromfile(folder / CONFIGS[detector]).model
    for part in (config.backbone, config.neck, config.bbox_head):
        part.norm_cfg = {"type": "BN"}
    config.backbone.init_cfg = config.train_cfg = None
    # boxes of less confidence than anybody asks for take time and are of no use here
    config.test_cfg.update(nms_pre=3000, score_thr=0.05, max_per_img=100)
    return config


class DetectedBoxes:
    """Boxes that a detector finds; a :data:`equistera.mm.prediction.stream.BoxSource`.

    Args:
        variant: A key of :data:`CONFIGS`.
        weights: Its weights; by default those of the manifest, in ``checkpoints/``.
        classes: Names of :data:`CLASSES` that count.
        threshold: Boxes of less confidence are left out.

    Raises:
        UserError: The weights are missing, broken or of another network; no such class; no such threshold.
    """

    def __init__(
        self,
        variant: str = "rtmdet",
        weights: str | Path | None = None,
        classes: Sequence[str] = ("horse",),
        threshold: float = 0.3,
    ):
        unknown = [name for name in classes if name not in CLASSES]
        if unknown:
            raise UserError(f"no such class: {', '.join(unknown)}", hint=f"Classes: {', '.join(CLASSES)}")
        if not 0 < threshold <= 1:
            raise UserError(f"--det-thr must be above 0 and at most 1, found {threshold:g}")
        self.classes, self.threshold = sorted(CLASSES[name] for name in classes), threshold
        path = detector_weights(variant, weights)
        content = checkpoint.load(path)
        _refuse_other_classes(content["meta"], path)
        # names of the parts are looked up in MMDetection's registries while it is built
        with DefaultScope.overwrite_default_scope("mmdet"):
            self.model = MODELS.build(network(variant))
        checkpoint.load_exactly(
            self.model, content["state_dict"], path, f"Give weights of --det {variant} for COCO's 80 classes"
        )
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model.to(self.device).eval()

    def __call__(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        """Boxes of each frame, the surest first; an empty list where nothing was found."""
        found = []
        for start in range(0, len(frames), BATCH):
            found += self._detect([frame.image for frame in frames[start : start + BATCH]])
        return found

    def _detect(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        fitted = [_fit(image) for image in images]
        batch = {
            # trained on pictures as OpenCV reads them
            "inputs": [torch.from_numpy(picture[..., ::-1].transpose(2, 0, 1).copy()) for picture, _, _ in fitted],
            "data_samples": [
                DetDataSample(metainfo={"img_shape": shape, "ori_shape": image.shape[:2], "scale_factor": factor})
                for image, (_, shape, factor) in zip(images, fitted, strict=True)
            ],
        }
        with torch.inference_mode(), DefaultScope.overwrite_default_scope("mmdet"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.meshgrid")
            return [self._boxes(sample.pred_instances) for sample in self.model.test_step(batch)]

    def _boxes(self, predicted) -> list[Box]:
        wanted = (predicted.scores >= self.threshold) & torch.isin(
            predicted.labels, torch.tensor(self.classes, device=predicted.labels.device)
        )
        corners, scores = predicted.bboxes[wanted], predicted.scores[wanted]
        if not len(scores):
            return []
        # MMDetection keeps the classes apart; here a horse that also looks like a cow is one animal
        kept, _ = nms(corners.contiguous(), scores.contiguous(), SAME_ANIMAL)
        return [
            Box((x1, y1, x2 - x1, y2 - y1), score)
            for x1, y1, x2, y2, score in kept.cpu().double().numpy().tolist()
            if x2 - x1 >= 1 and y2 - y1 >= 1
        ]


def _refuse_other_classes(meta: Mapping, path: Path) -> None:
    """Refuses weights that say that they were trained for as many other classes; most say nothing."""
    said = meta.get("dataset_meta")
    said = {key.lower(): value for key, value in said.items() if isinstance(key, str)} if isinstance(said, dict) else {}
    names = said.get("classes")
    if isinstance(names, (list, tuple)):
        wrong = [name for name, i in CLASSES.items() if i >= len(names) or names[i] != name]
        if wrong:
            raise UserError(
                f"{path} says that it finds other classes than COCO's: {', '.join(map(str, names[:5]))}, ...",
                [f"{name} is not class {CLASSES[name]} of {len(names)}" for name in wrong],
                "Only detectors of COCO's 80 classes can be used.",
            )


def _fit(image: np.ndarray) -> tuple[np.ndarray, tuple[int, int], tuple[float, float]]:
    """The picture scaled into a square, its size there (height, width), and by which factors (x, y)."""
    small = fitted(image, (SIDE, SIDE))
    height, width = small.shape[:2]
    square = np.full((SIDE, SIDE, 3), PADDING, np.uint8)
    square[:height, :width] = small
    return square, (height, width), (width / image.shape[1], height / image.shape[0])
