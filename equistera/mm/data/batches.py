"""From samples to a training batch: one uint8 tensor of pictures and one tensor of each kind of target.

MMPose wraps every sample in an object with three containers, which costs more than the warp of the picture; training
needs none of it. Evaluation does, so validation keeps ``PackPoseInputs`` and its data samples.
"""

from __future__ import annotations

import multiprocessing.queues
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import worker_init_fn
from mmengine.registry import FUNCTIONS
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS, TRANSFORMS
from torch._utils import ExceptionWrapper
from torch.utils.data import get_worker_info

from equistera.errors import UserError

#: Targets that a batch carries; those with a first axis of one animal are joined along it, the others stacked.
_JOINED, _STACKED = ("keypoint_x_labels", "keypoint_y_labels", "keypoint_weights"), ("heatmaps", "boxes")


@TRANSFORMS.register_module()
class PackTraining(BaseTransform):
    """The last step of a training pipeline.

    Gives ``inputs`` uint8 [h, w, 3], ``data_samples``, the targets by name, and ``picture``, its path.

    Raises:
        UserError: The codec made neither SimCC labels nor heatmaps, and no boxes are there.
    """

    def transform(self, results: dict) -> dict:
        targets = {name: results[name] for name in (*_JOINED, *_STACKED) if name in results}
        if not {"heatmaps", "keypoint_x_labels", "boxes"} & targets.keys():
            raise UserError(
                "PackTraining knows the targets of SimCC and heatmap codecs, found neither",
                hint="Let train_pipeline end with PackPoseInputs, and remove train_dataloader.collate_fn",
            )
        return {"inputs": results["img"], "data_samples": targets, "picture": results["img_path"]}


@FUNCTIONS.register_module()
def stack_samples(samples: Sequence[dict]) -> dict:
    """Collates what :class:`PackTraining` made.

    Returns:
        ``inputs`` uint8 [N, 3, h, w] in channels-last order, BGR, ``data_samples``: tensors [N, ...] by name, and
        ``pictures``: their paths.
    """
    pictures = _join([sample["inputs"] for sample in samples], np.stack)
    targets = {
        name: _join(
            [sample["data_samples"][name] for sample in samples], np.stack if name in _STACKED else np.concatenate
        )
        for name in samples[0]["data_samples"]
    }
    paths = [sample["picture"] for sample in samples]
    return {"inputs": pictures.permute(0, 3, 1, 2), "data_samples": targets, "pictures": paths}


def pictures_of(batch: dict) -> list[str]:
    """Paths of the pictures of a batch, however it was collated."""
    if "pictures" in batch:
        return batch["pictures"]
    return [sample.img_path for sample in batch["data_samples"]]


def _join(arrays: list[np.ndarray], how) -> torch.Tensor:
    first = arrays[0]
    shape = (len(arrays), *first.shape) if how is np.stack else (len(arrays) * len(first), *first.shape[1:])
    joined = torch.empty(shape, dtype=torch.from_numpy(first).dtype)
    if get_worker_info() is not None:
        # written where the main process will read it, which spares a copy
        joined.share_memory_()
    how(arrays, out=joined.numpy())
    return joined


@FUNCTIONS.register_module()
def start_worker(worker_id: int, num_workers: int, rank: int, seed: int) -> None:
    """Prepares a loader's worker: its random numbers, and one thread, because there is a worker for each core."""
    worker_init_fn(worker_id, num_workers=num_workers, rank=rank, seed=seed)
    cv2.setNumThreads(1)
    # a thread hands batches over; what it fails at (open files, shared memory) is printed, and waited for for ever
    multiprocessing.queues.Queue._on_queue_feeder_error = _hand_over_error  # type: ignore[attr-defined]


def _hand_over_error(queue: multiprocessing.queues.Queue, error: Exception, item: tuple[int, object]) -> None:
    """Puts an error in the place of the batch that could not be handed over, as an error of a sample is."""
    queue.put((item[0], ExceptionWrapper((type(error), error, error.__traceback__), "in a loader worker")))


@MODELS.register_module()
class BatchPreprocessor(PoseDataPreprocessor):
    """MMPose's preprocessor, which also takes batches of :func:`stack_samples`: normalised in place, without samples.

    The result has the layout that convolutions like best.

    Args:
        mean: Of each channel, for the normalisation; None for none.
        bgr_to_rgb: Whether the channels' order is turned round.
        kwargs: As MMPose's takes them.
    """

    def __init__(self, mean: Sequence[float] | None = None, bgr_to_rgb: bool = False, **kwargs):
        super().__init__(mean=mean, bgr_to_rgb=bgr_to_rgb, **kwargs)
        self.normalises, self.turns = mean is not None, bgr_to_rgb or kwargs.get("rgb_to_bgr", False)

    def forward(self, data: dict, training: bool = False) -> dict:
        if not isinstance(data["inputs"], torch.Tensor):
            return super().forward(data, training)
        data = self.cast_data(data)
        inputs = data["inputs"]
        if self.turns:
            inputs = inputs.flip(1)
        inputs = inputs.to(torch.float32, memory_format=torch.channels_last)
        if self.normalises:
            inputs.sub_(self.mean).div_(self.std)
        return {"inputs": inputs, "data_samples": data.get("data_samples")}
