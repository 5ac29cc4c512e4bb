"""Finding animals with an RTMDet (Lyu et al. 2022): MMDetection's of COCO's 80 classes, or one that we trained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mmdet
import numpy as np
import torch
from mmcv.cnn import fuse_conv_bn
from mmcv.ops import nms
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmpose.registry import MODELS, TRANSFORMS
from torch import nn

from equistera import skeleton as skeletons
from equistera.checkpoints import detector_weights
from equistera.dataset.boxes import overlaps, shared_areas
from equistera.drawing import fitted
from equistera.errors import UserError
from equistera.frames import Frame
from equistera.literals import settings_in
from equistera.looking import Detector
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.data.boxes import view_of
from equistera.mm.network import checkpoint
from equistera.mm.network.detector import CLASSES, AnimalDetector
from equistera.mm.network.precision import prediction_precision
from equistera.mm.prediction.stream import SMALL, Box
from equistera.mm.run.network_check import as_config_says

#: MMDetection's own config of each of :data:`equistera.checkpoints.DETECTORS`.
CONFIGS = {"rtmdet": "rtmdet_m_8xb32-300e_coco.py", "rtmdet_tiny": "rtmdet_tiny_8xb32-300e_coco.py"}
SIDE = 640
#: Grey of the padding that the public weights were trained with.
PADDING = 114
#: Pictures that go through the detector together: its activations are ten times a pose model's.
BATCH = 4
#: Overlap from which two boxes are one animal. MMDetection's 0.65 for RTMDet leaves one horse several boxes.
SAME_ANIMAL = 0.5
#: A small box of which so much lies in a surer one is a part of that animal.
PART = 0.5


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


class DetectorBoxes:
    """A network that finds boxes on a few pictures at a time; a :data:`equistera.mm.prediction.stream.BoxSource`.

    Args:
        model: The network.
        threshold: Boxes of less confidence are left out.
    """

    def __init__(self, model: nn.Module, threshold: float):
        self.threshold = threshold
        for settings in (model.test_cfg, model.bbox_head.test_cfg):
            # less sure ones would be left out before anybody asks
            settings.score_thr = min(settings.score_thr, threshold)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = model.to(self.device).eval()
        with torch.no_grad():
            # not the head: its levels share their convolutions
            for part in (self.model.backbone, self.model.neck):
                fuse_conv_bn(part)

    def __call__(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        """Boxes of each frame, the surest first; an empty list where nothing was found."""
        return self._in_batches(self._detect, frames)

    def glance(self, frames: Sequence[Frame]) -> list[list[Box] | None]:
        """The same of one look alone, which misses small animals but takes a fraction of the time."""
        return self._in_batches(self._look, frames)

    def _in_batches(self, find: Callable[[list[np.ndarray]], list[list[Box]]], frames: Sequence[Frame]) -> list:
        found: list[list[Box] | None] = []
        for start in range(0, len(frames), BATCH):
            with torch.inference_mode(), DefaultScope.overwrite_default_scope("mmdet"), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="torch.meshgrid")
                found += find([frame.image for frame in frames[start : start + BATCH]])
        return found

    def _look(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        raise NotImplementedError

    def _detect(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        return self._look(images)

    def _boxes(self, corners: torch.Tensor, scores: torch.Tensor) -> list[Box]:
        """Boxes from corners [N, 4] and scores [N], each animal once: the surest of those that overlap."""
        corners, scores = corners[scores >= self.threshold], scores[scores >= self.threshold]
        if not len(scores):
            return []
        kept, _ = nms(corners.float().contiguous(), scores.float().contiguous(), SAME_ANIMAL)
        return [
            Box((x1, y1, x2 - x1, y2 - y1), score)
            for x1, y1, x2, y2, score in kept.cpu().double().numpy().tolist()
            if x2 - x1 >= 1 and y2 - y1 >= 1
        ]


class TrainedBoxes(DetectorBoxes):
    """Boxes that a detector of ``tools/train.py`` finds, as its training saw pictures, and large ones more closely.

    Args:
        weights: Its ``best.pth``, which says how it is built.
        threshold: Boxes of less confidence are left out.
        amp: As :class:`equistera.mm.prediction.predict.Predictor` takes it, whatever it was trained in.

    Raises:
        UserError: The weights are broken, or those of no such detector.
    """

    def __init__(self, weights: str | Path, threshold: float = 0.3, amp: bool | None = False):
        content = checkpoint.load(weights)
        settings = settings_in(str(content["meta"].get("config")))
        model = settings.get("model")
        if not isinstance(model, dict) or model.get("type") != AnimalDetector.__name__:
            raise _no_trained_detector(weights, content["state_dict"])
        config = configs.from_text(repr({"model": model}), weights)
        # boxes do not depend on the skeleton, and its file may be gone
        configs.write(config, {"model.skeleton": skeletons.DEFAULT, "model.precision": prediction_precision(amp)})
        steps = ("DrawGeometry", "LoadPicture", "CropToInput", "PackPoseInputs")
        said = f"the detector in {weights} cannot be built:"
        with as_config_says(said), DefaultScope.overwrite_default_scope("mmpose"):
            network = MODELS.build(config.model)
            self._pipeline = Compose([TRANSFORMS.build({"type": name}) for name in steps])
        checkpoint.load_exactly(network, content["state_dict"], weights, "Give weights as tools/train.py wrote them")
        super().__init__(network, threshold)

    def _look(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        return [self._boxes(corners, scores) for corners, scores in self._looked(images, 1)]

    def _detect(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        boxes = self._look(images)
        self._look_closer(images, boxes, range(len(images)), 2)
        self._look_closer(images, boxes, [i for i, found in enumerate(boxes) if not found], 4)
        return boxes

    def _look_closer(
        self, images: Sequence[np.ndarray], boxes: list[list[Box]], chosen: Iterable[int], times: int
    ) -> None:
        """Adds the small animals of some pictures that are large enough for such a look."""
        large = [i for i in chosen if max(images[i].shape[:2]) > 0.75 * times * max(self.model.input_size)]
        for i, (corners, scores) in zip(large, self._looked([images[i] for i in large], times), strict=True):
            longest = 2 / times * SMALL * max(images[i].shape[:2])
            small = (corners[:, 2:] - corners[:, :2]).amax(dim=1) <= longest
            boxes[i] = _each_once([*boxes[i], *_beside(self._boxes(corners[small], scores[small]), boxes[i])])

    def _looked(self, images: Sequence[np.ndarray], times: int) -> list[list[torch.Tensor]]:
        """Corners and scores on each picture, made so many times as large as training's were."""
        if not images:
            return []
        samples = [self.sample(image, times) for image in images]
        found = [sample.pred_instances for sample in self.model.test_step(pseudo_collate(samples))]
        return [[torch.from_numpy(each.bboxes), torch.from_numpy(each.bbox_scores)] for each in found]

    def sample(self, image: np.ndarray, times: int = 1) -> dict:
        """The network's input for a picture, RGB uint8 [H, W, 3], so many times as large as training's were."""
        size = tuple(side * times for side in self.model.input_size)
        view = view_of(image.shape[1::-1])[None]
        about = {"img": image, "img_path": "", "id": 0, "img_id": 0, "input_size": size}
        sample = self._pipeline({**about, "bbox": view, "bbox_score": np.ones(1, np.float32)})
        # the model's preprocessor takes pictures as OpenCV reads them
        sample["inputs"] = sample["inputs"].flip(0)
        return sample


def _beside(small: Sequence[Box], whole: Sequence[Box]) -> list[Box]:
    """The small boxes that are no part of an animal that is known already and surer."""
    if not small or not whole:
        return list(small)
    own, known = (np.array([box.xywh for box in boxes]) for boxes in (small, whole))
    surer = np.array([[other.score > box.score for other in whole] for box in small])
    inside = (shared_areas(own, known) * surer).max(axis=1) / own[:, 2:].prod(axis=1)
    return [box for box, share in zip(small, inside, strict=True) if share < PART]


def _each_once(boxes: Sequence[Box]) -> list[Box]:
    """Of two looks at one animal the surer, the surest animal first."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        known = np.array([other.xywh for other in kept]).reshape(-1, 4)
        if overlaps(np.array([box.xywh]), known).max(initial=0) <= SAME_ANIMAL:
            kept.append(box)
    return kept


def _no_trained_detector(weights: str | Path, state: Mapping[str, torch.Tensor]) -> UserError:
    found, hint = "another network's", "python tools/train.py configs/rtmdet_tiny_animal.py trains one"
    if any(name.startswith("bbox_head.") for name in state):
        found, hint = "MMDetection's own", f"Of COCO's classes: --det rtmdet or rtmdet_tiny, --det-weights {weights}"
    return UserError(f"--det {weights}: expected weights of a detector that was trained here, found {found}", hint=hint)


class DetectedBoxes(DetectorBoxes):
    """Boxes that a detector of COCO's classes finds.

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
        self.classes = sorted(CLASSES[name] for name in classes)
        path = detector_weights(variant, weights)
        content = checkpoint.load(path)
        _refuse_other_classes(content["meta"], path)
        # names of the parts are looked up in MMDetection's registries while it is built
        with DefaultScope.overwrite_default_scope("mmdet"):
            model = MMDET_MODELS.build(network(variant))
        hint = f"Give weights of --det {variant} for COCO's 80 classes; one that was trained is given as --det {path}"
        checkpoint.load_exactly(model, content["state_dict"], path, hint)
        super().__init__(model, threshold)

    def _look(self, images: Sequence[np.ndarray]) -> list[list[Box]]:
        fitted = [_fit(image) for image in images]
        batch = {
            # trained on pictures as OpenCV reads them
            "inputs": [torch.from_numpy(picture[..., ::-1].transpose(2, 0, 1).copy()) for picture, _, _ in fitted],
            "data_samples": [
                DetDataSample(metainfo={"img_shape": shape, "ori_shape": image.shape[:2], "scale_factor": factor})
                for image, (_, shape, factor) in zip(images, fitted, strict=True)
            ],
        }
        # MMDetection keeps the classes apart; here a horse that also looks like a cow is one animal
        return [self._of_classes(sample.pred_instances) for sample in self.model.test_step(batch)]

    def _of_classes(self, predicted: InstanceData) -> list[Box]:
        wanted = torch.isin(predicted.labels, torch.tensor(self.classes, device=predicted.labels.device))
        return self._boxes(predicted.bboxes[wanted], predicted.scores[wanted])


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


def boxes_of(
    detector: Detector, classes: Sequence[str] | None, threshold: float | None, amp: bool | None = False
) -> DetectorBoxes:
    """The boxes of a detector that was asked for; see :class:`DetectedBoxes` and :class:`TrainedBoxes`."""
    chosen: dict[str, Any] = {"classes": classes, "threshold": threshold}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    if detector.kind is None:
        return TrainedBoxes(detector.weights, amp=amp, **chosen)
    return DetectedBoxes(detector.kind, detector.weights, **chosen)
