"""What a model is taught first, and the same few validation pictures at every evaluation: one sees it learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import Tensor

from equistera.dataset.images import read_rgb
from equistera.drawing import contact_sheet, cut, draw_pose, put_text, view
from equistera.errors import UserError
from equistera.mm.data.dataset import KeypointDataset
from equistera.mm.evaluation.keypoint_metric import to_result
from equistera.mm.network.detector import AnimalDetector
from equistera.skeleton import Skeleton

#: Keeps the draw of the pictures apart from all else that the seed decides.
_STREAM = 7_118
#: Width and height of one picture, pixels: eight labels and predictions fill a screen and take half a megabyte.
PANEL = (240, 180)
COLUMNS = 4
NAME, FIRST = "val_predictions", "train_batch"
#: Pictures of a training batch that are drawn.
MOST_OF_BATCH = 16


@dataclass(frozen=True)
class Shown:
    """A labelled animal that is drawn at each evaluation.

    Attributes:
        picture: RGB uint8, cut out around the animal.
        points, visible: float64 [K, 2] in pixels of ``picture``; int [K], COCO flags.
        corner, factor: A point p of the whole picture lies at ``(p - corner) * factor``.
    """

    picture: np.ndarray
    points: np.ndarray
    visible: np.ndarray
    corner: np.ndarray
    factor: float

    @classmethod
    def of(cls, sample: dict) -> Shown:
        """Cuts a sample of the data set out of its picture."""
        picture = read_rgb(sample["img_path"])
        x1, y1, x2, y2 = sample["bbox"][0].astype(float)
        points, visible = sample["keypoints"][0].astype(float), sample["keypoints_visible"][0]
        bbox = np.array([x1, y1, x2 - x1, y2 - y1])
        corner, factor = view(picture.shape, bbox, points[visible > 0], PANEL)
        return cls(cut(picture, corner, factor, PANEL), (points - corner) * factor, 2 * (visible > 0), corner, factor)


@HOOKS.register_module()
class PredictionPictures(Hook):
    """Hands the visualizer one sheet at each evaluation: labels above, the evaluated weights' predictions below.

    The predictions are those of the evaluation itself: no picture goes through the network again. Every backend of
    the run gets the sheet under the name :data:`NAME`: TensorBoard, the work dir's folder ``pictures``, and whatever
    else the config names. The first training batch is drawn as well, under :data:`FIRST`, with the targets as points.

    Args:
        pictures: Animals on the sheet, drawn by the run's seed from the validation set; 0 for none.
    """

    def __init__(self, pictures: int = 8):
        self.pictures = pictures
        self._samples: dict[object, dict] | None = None
        self._shown: dict[object, Shown] = {}
        self._predicted: dict[object, np.ndarray] = {}

    def before_train(self, runner) -> None:
        if isinstance(runner.network, AnimalDetector):
            raise UserError(
                "the config has the hook PredictionPictures, which draws poses, and its network finds boxes",
                hint="custom_hooks=[] leaves it out; tools/augmentation.py draws what a detector is trained on",
            )

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        if runner.iter or not self.pictures or not is_main_process() or not isinstance(data_batch["inputs"], Tensor):
            return
        drawn = first_batch(data_batch, runner.network.skeleton)
        runner.visualizer.add_image(FIRST, drawn, step=runner.epoch + 1)

    def before_val_epoch(self, runner) -> None:
        self._predicted = {}
        if self._samples is None:
            self._samples = chosen(runner.val_dataloader.dataset, self.pictures, runner.seed or 0)

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        for output in outputs:
            if output.metainfo["id"] in self._samples:
                result = to_result(output.to_dict())
                self._predicted[result["ann_id"]] = np.reshape(result["keypoints"], (-1, 3))

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        gathered = all_gather_object(self._predicted)
        if not is_main_process() or not self._samples:
            return
        predicted = {ann_id: points for part in gathered for ann_id, points in part.items()}
        for ann_id, sample in self._samples.items():
            if ann_id not in self._shown:
                self._shown[ann_id] = Shown.of(sample)
        pairs = [(self._shown[ann_id], predicted[ann_id]) for ann_id in self._samples]
        runner.visualizer.add_image(NAME, sheet(pairs, runner.network.skeleton), step=runner.epoch)


def first_batch(batch: dict, skeleton: Skeleton) -> np.ndarray:
    """The pictures of a training batch with what the network is taught of them.

    Args:
        batch: As :func:`equistera.mm.data.batches.stack_samples` makes it.
        skeleton: The keypoints.

    Returns:
        RGB uint8.
    """
    cells, taught = [], batch["data_samples"]
    for i, picture in enumerate(batch["inputs"].numpy()[:MOST_OF_BATCH]):
        height, width = picture.shape[1:]
        factor = PANEL[0] / max(width, height)
        panel = round(width * factor), round(height * factor)
        cell = cut(np.ascontiguousarray(picture[::-1].transpose(1, 2, 0)), np.zeros(2), factor, panel)
        points, weights = peaks(taught, i, (height, width)) * factor, taught["keypoint_weights"][i].numpy()
        draw_pose(cell, points, skeleton, scores=weights, scale=0.8)
        cells.append(cell)
    return contact_sheet(cells, columns=min(COLUMNS, len(cells)), cell=(PANEL[0], PANEL[0]))


def peaks(taught: dict[str, Tensor], i: int, shape: tuple[int, ...]) -> np.ndarray:
    """Where the targets of a sample have their maxima: float64 [K, 2], pixels of the input, NaN without a target."""
    height, width = shape[:2]
    if "heatmaps" in taught:
        maps = taught["heatmaps"][i].numpy()
        rows, columns = np.divmod(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[2])
        points = np.stack([columns * width / maps.shape[2], rows * height / maps.shape[1]], axis=1)
    else:
        axes = ((taught["keypoint_x_labels"][i].numpy(), width), (taught["keypoint_y_labels"][i].numpy(), height))
        points = np.stack([labels.argmax(axis=1) * side / labels.shape[1] for labels, side in axes], axis=1)
    return np.where(taught["keypoint_weights"][i].numpy()[:, None] > 0, points, np.nan)


def chosen(dataset: KeypointDataset, count: int, seed: int) -> dict[object, dict]:
    """Samples of a data set by annotation id, drawn by seed, in the data set's order."""
    order = np.random.default_rng((seed, _STREAM)).permutation(len(dataset))[:count]
    samples = [dataset.get_data_info(int(index)) for index in sorted(order)]
    return {sample["id"]: sample for sample in samples}


def sheet(pairs: list[tuple[Shown, np.ndarray]], skeleton: Skeleton) -> np.ndarray:
    """Labels above predictions, side by side for all animals.

    Args:
        pairs: Animals and what was predicted for each, float [K, 3]: x, y in pixels of the whole picture, confidence.
        skeleton: The K keypoints.

    Returns:
        RGB uint8.
    """
    cells = []
    for shown, predicted in pairs:
        truth, prediction = shown.picture.copy(), shown.picture.copy()
        draw_pose(truth, shown.points, skeleton, visible=shown.visible, scale=0.8)
        points = (predicted[:, :2] - shown.corner) * shown.factor
        draw_pose(prediction, points, skeleton, scores=predicted[:, 2], scale=0.8)
        put_text(truth, "labelled", (4, PANEL[1] - 5), scale=1.2)
        put_text(prediction, "predicted", (4, PANEL[1] - 5), scale=1.2)
        cells.append(np.concatenate([truth, prediction]))
    return contact_sheet(cells, columns=min(COLUMNS, len(cells)), cell=(PANEL[0], 2 * PANEL[1]))
