"""A trained model, ready to predict: from a config and a checkpoint to keypoints on pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmpose.registry import MODELS

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.evaluation.calibration import ONE_VIEW
from equistera.exported import Exported, is_exported
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.devices import choose_device
from equistera.mm.network import checkpoint
from equistera.mm.network.checkpoint_record import animals_in, refuse_contradictions, settings_digest
from equistera.mm.network.checkpoint_skeleton import named_in
from equistera.mm.network.precision import prediction_precision
from equistera.mm.network.views import averaged, reference_of
from equistera.mm.prediction.exported_network import ExportedNetwork, refuse_what_is_settled
from equistera.skeleton import Skeleton


@dataclass(frozen=True)
class Pose:
    """One predicted animal.

    Attributes:
        points: float64 [K, 2], pixels of the picture.
        scores: float64 [K], confidence.
        bbox: float64 [4], x, y, width, height: where the model looked.
        bbox_score: Confidence that there is an animal in the box; 1 where nobody asked.
    """

    points: np.ndarray
    scores: np.ndarray
    bbox: np.ndarray
    bbox_score: float = 1.0


class Predictor:
    """Predicts the pose of animals whose boxes are known.

    Args:
        config: Config file of the run; an exported network needs none.
        checkpoint_file: Its weights, or an exported network.
        device: ``cpu``, ``cuda``, ``cuda:N``, or None for the best there is.
        flip_test: Average with the prediction on the mirrored picture: twice the time, a little better.
        cfg_options: ``key=value`` overrides.
        amp: Compute the backbone in mixed precision where the device has it; None: where that is faster.
        scales: Average with predictions in crops of so many times the sides; of more than one, samples are lists with
            one for each.
        shared: As :func:`equistera.mm.config.load` takes them.

    Attributes:
        config: The resolved config.
        skeleton: The keypoints, as the checkpoint names them.
        trained_on: Marks of the pictures that it was trained on, as far as the checkpoint says.
        animals: What the animals in them are called there.
        settings: See :func:`equistera.mm.network.checkpoint_record.settings_digest`.
        outputs: Models with the same ones take the same crops, and their raw outputs mean the same.

    Raises:
        UserError: The checkpoint is missing, broken or of another model, or says that it was trained for other
            keypoints or settings.
    """

    model: Any
    config: Config
    skeleton: Skeleton

    def __init__(
        self,
        config: str | Path,
        checkpoint_file: str | Path,
        device: str | None = None,
        flip_test: bool = False,
        cfg_options: Sequence[str] = (),
        amp: bool | None = False,
        scales: Sequence[float] = ONE_VIEW,
        **shared: Any,
    ):
        choose_device(device)
        #: What an exported network says of itself.
        self.exported: Exported | None = None
        self.scales = tuple(scales)
        # what makes samples is told of more than the one view that it makes by itself
        self.views = () if self.scales == ONE_VIEW else self.scales
        if is_exported(checkpoint_file):
            settled = {"--flip-test": flip_test, "--scales": self.views, "--cfg-options": cfg_options, "--amp": amp}
            refuse_what_is_settled(checkpoint_file, settled)
            self._take_exported(checkpoint_file, **shared)
        else:
            self._take_checkpoint(config, checkpoint_file, flip_test, cfg_options, amp, **shared)
        self.model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self._pipeline = Compose(self.config.val_pipeline)

    def _take_exported(self, path: str | Path, data_root: str | None = None, skeleton: str | None = None) -> None:
        self.model = network = ExportedNetwork(path)
        self.exported = network.about
        self.config = network.config(data_root, skeleton)
        self.skeleton = network.skeleton
        self.trained_on, self.animals = {*network.about.trained_on}, [*network.about.animals]
        self.settings, self.outputs = network.about.settings, f"points of {path}"

    def _take_checkpoint(
        self,
        config: str | Path,
        checkpoint_file: str | Path,
        flip_test: bool,
        cfg_options: Sequence[str],
        amp: bool | None,
        **shared: Any,
    ) -> None:
        content = checkpoint.load(checkpoint_file)
        if shared.get("skeleton") is None:
            shared["skeleton"] = _skeleton_of(content)
        self.config = configs.load(config, cfg_options, **shared)
        if any(name.startswith("bbox_head.") for name in content["state_dict"]):
            raise UserError(
                f"{checkpoint_file} is a detector: it finds animals, it has no keypoints",
                hint="Give a pose model; --det takes detectors, where a tool has it",
            )
        self.skeleton = skeletons.load(self.config.skeleton)
        refuse_contradictions(content, checkpoint_file, self.config, self.skeleton)
        self.trained_on = {*(content["meta"].get("trained_on") or ())}
        self.animals = animals_in(content["meta"])
        self.settings = settings_digest(self.config, self.skeleton)
        model = self.config.model
        self.outputs = repr((model.codec, self.config.val_pipeline, model.data_preprocessor, model.head.type))
        # the config of a run says in which precision it was trained
        precision = prediction_precision(amp)
        configs.write(self.config, {"model.test_cfg.flip_test": flip_test, "model.precision": precision})
        self.model = MODELS.build(self.config.model)
        checkpoint.load_exactly(
            self.model,
            content["state_dict"],
            checkpoint_file,
            "Give the config that it was trained with (and --skeleton, if it is not the config's)",
        )

    def predict_samples(self, batch: list) -> list[dict]:
        """Runs the model on collated samples of a data set or of :meth:`poses`; returns data samples as dicts."""
        if self.views:
            return self.decode(*self.raw_outputs(batch))
        with torch.inference_mode():
            return [sample.to_dict() for sample in self.model.test_step(batch)]

    def raw_outputs(self, batch: list) -> tuple[list, tuple[torch.Tensor, ...]]:
        """The data samples of a batch and the head's outputs for them, not decoded yet (for averaging models)."""
        with torch.inference_mode():
            # of several views the samples of the one whose cells the answers are laid onto
            prepared = [
                self.model.data_preprocessor(view, training=False) for view in (batch if self.views else [batch])
            ]
            outputs = [self.model.raw_outputs(view["inputs"]) for view in prepared]
            samples = prepared[reference_of(self.scales)]["data_samples"]
            return samples, averaged(outputs, self.scales, self.model.use_udp) if self.views else outputs[0]

    def decode(self, data_samples: list, outputs: tuple[torch.Tensor, ...]) -> list[dict]:
        """Data samples with predictions, as dicts, from (averaged) raw outputs."""
        with torch.inference_mode():
            return [sample.to_dict() for sample in self.model.decode(outputs, data_samples)]

    def poses(self, crops: Iterable[tuple[np.ndarray, Sequence[float]]], batch_size: int = 16) -> Iterator[Pose]:
        """Predicts one pose for each pair of a picture (RGB uint8 [H, W, 3]) and a box (x, y, width, height), in order.

        ``batch_size`` crops go through the model together.
        """
        crops = iter(crops)
        while samples := [self.sample(image, bbox) for image, bbox in itertools.islice(crops, batch_size)]:
            for sample in self.predict_samples(pseudo_collate(samples)):
                predicted = sample["pred_instances"]
                x1, y1, x2, y2 = np.asarray(predicted["bboxes"], dtype=np.float64)[0]
                yield Pose(
                    points=np.asarray(predicted["keypoints"], dtype=np.float64)[0, :, :2],
                    scores=np.asarray(predicted["keypoint_scores"], dtype=np.float64)[0],
                    bbox=np.array([x1, y1, x2 - x1, y2 - y1]),
                )

    def sample(self, image: np.ndarray, bbox: Sequence[float]) -> Any:
        """The network's input for one box of a picture, as those of :meth:`poses`; a list of them for several views.

        The crop is made as those of a data set are, so that the model sees what it saw when it was evaluated.
        """
        x, y, width, height = (float(value) for value in bbox)
        box = np.array([x, y, x + width, y + height], dtype=np.float32)
        about = {"img": image, "img_path": "", "id": 0, "img_id": 0}
        boxes = {"bbox": box[None], "bbox_score": np.ones(1, dtype=np.float32)}
        samples = []
        for view in self.scales:
            seen = {"view": view, "views": self.views}
            sample = self._pipeline({**self.model.dataset_meta, **about, **boxes, **seen})
            # the model's preprocessor takes pictures as OpenCV reads them
            sample["inputs"] = sample["inputs"].flip(0)
            samples.append(sample)
        return samples if self.views else samples[0]


def _skeleton_of(content: dict) -> str | None:
    """The built-in skeleton or file that a checkpoint of ours was trained for, if it is still there."""
    source = next((entry.source for _, entry in named_in(content["meta"]) if entry.source), "")
    if source in skeletons.builtin_names() or (source.endswith(".json") and Path(source).is_file()):
        return source
    return None
