"""An exported network where a pose model stands: crops in, points out, without a config."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.structures import InstanceData

from equistera import PROJECT
from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.exported import CONFIDENCE, CROPS, POINTS, Exported, require
from equistera.files import write_json
from equistera.mm import config as configs
from equistera.mm.data.codecs import pixels_across, uses_udp
from equistera.mm.data.metainfo import dataset_meta_of
from equistera.skeleton import Skeleton


class ExportedNetwork(BaseModel):
    """Runs an ``.onnx`` file of ``tools/export.py`` in onnxruntime.

    What it says before anything is decoded (:meth:`raw_outputs`) are points already, so that of several such models, or
    of views of other sizes, there is no mean to be taken of it.

    Args:
        path: The file.

    Attributes:
        about: What it says of itself.
        run: Gives points and confidences of as many crops as the graph takes.
        skeleton: The keypoints.

    Raises:
        UserError: onnxruntime is missing or lacks the device, or the file is none of ours.
    """

    def __init__(self, path: str | Path):
        super().__init__()
        require("onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=_providers(onnxruntime))
        except Exception as error:
            # its errors have no class of their own in common
            raise UserError(f"{path} cannot be read as ONNX: {str(error).splitlines()[0][:200]}") from error
        self.run = functools.partial(_run, session)
        said = session.get_modelmeta().custom_metadata_map
        self.about = Exported.of(said, path, "pose")
        sides = tuple(session.get_inputs()[0].shape[1:3])
        if sides != self.about.input_size[::-1]:
            raise UserError(
                f"{path} was changed: its graph takes crops of {sides[1]}x{sides[0]}, it says {self.about.input_size}",
                hint="Export it again",
            )
        self.skeleton = self.about.keypoints
        # JSON has no tuples
        self.codec = {key: tuple(v) if isinstance(v, list) else v for key, v in self.about.codec.items()}
        size, udp = self.about.input_size, uses_udp(self.codec)
        self.dataset_meta = {**dataset_meta_of(self.skeleton), "input_size": size, "use_udp": udp}

    def data_preprocessor(self, data: dict, training: bool = False) -> dict:
        """Pictures as OpenCV reads them, of which the graph takes uint8 RGB [N, H, W, 3]."""
        inputs = data["inputs"]
        inputs = inputs if isinstance(inputs, torch.Tensor) else torch.stack(list(inputs))
        return {**data, "inputs": inputs.flip(1).permute(0, 2, 3, 1)}

    def forward(self, inputs: torch.Tensor, data_samples: list, mode: str = "predict") -> list:
        """Data samples with points in pixels of the picture."""
        return self.decode(self.raw_outputs(inputs), data_samples)

    def raw_outputs(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Points [N, K, 2] in pixels of the crops, and confidences [N, K]."""
        crops = np.ascontiguousarray(inputs.numpy())
        size = self.about.batch or len(crops)
        # a file of a fixed batch gets its last one filled up with the last crop
        filled = np.concatenate([crops, np.repeat(crops[-1:], -len(crops) % size, axis=0)])
        parts = [self.run(filled[i : i + size]) for i in range(0, len(filled), size)]
        return tuple(torch.from_numpy(np.concatenate(arrays)[: len(crops)]) for arrays in zip(*parts, strict=True))

    def decode(self, outputs: tuple[torch.Tensor, ...], data_samples: list) -> list:
        """The data samples, changed: with ``pred_instances`` in pixels of the picture."""
        across = pixels_across(self.codec)
        for points, scores, sample in zip(*(part.numpy() for part in outputs), data_samples, strict=True):
            about, given = sample.metainfo, sample.gt_instances
            points = points / across * about["input_scale"] + about["input_center"] - 0.5 * about["input_scale"]
            sample.pred_instances = InstanceData(
                keypoints=points[None],
                keypoint_scores=scores[None],
                keypoints_visible=scores[None],
                bboxes=given.bboxes,
                bbox_scores=given.bbox_scores,
            )
        return data_samples

    def config(self, data_root: str | None, skeleton: str | None) -> Config:
        """What a run's config says of its data, for the crops that this network takes.

        Args:
            data_root: The data; None: where they usually are.
            skeleton: Name or file of the same keypoints; None: as the file has them.

        Raises:
            UserError: The skeleton has other keypoints.
        """
        if skeleton is not None:
            self._take(skeletons.load(skeleton))
        elif self.about.skeleton["name"] in skeletons.builtin_names():
            skeleton = self.about.skeleton["name"]
        else:
            # data sets read a skeleton by its name or from its file
            self._folder = tempfile.TemporaryDirectory(prefix="equistera_")
            skeleton = str(Path(self._folder.name) / f"{self.about.skeleton['name']}.json")
            write_json(skeleton, self.about.skeleton["content"])
        config = configs.read(PROJECT / "configs" / "_base_" / "datasets" / "horse26.py")
        config.codec = self.codec
        return configs.resolve(config, data_root=data_root, skeleton=skeleton)

    def _take(self, given: Skeleton) -> None:
        if given.names != self.skeleton.names:
            raise UserError(
                f"--skeleton {given.name}: the exported network has other keypoints, those of {self.skeleton.name!r}",
                hint="Leave it out: the file says what they are",
            )
        self.skeleton = given


def refuse_what_is_settled(path: str | Path, options: dict[str, object]) -> None:
    """Refuses options that were decided when a network was exported.

    Args:
        path: The file.
        options: What was asked for, by the option's name; what is empty was not.

    Raises:
        UserError: Something was.
    """
    if given := [name for name, value in options.items() if value]:
        raise UserError(
            f"{', '.join(given)}: {path} is an exported network, which is as it was exported",
            hint="Export it again (tools/export.py --help; --flip is its --flip-test), or give the checkpoint",
        )


def _run(session: Any, crops: np.ndarray) -> list[np.ndarray]:
    return session.run([POINTS, CONFIDENCE], {CROPS: crops})


def _providers(onnxruntime) -> Sequence[str]:
    there = onnxruntime.get_available_providers()
    return [name for name in ("CUDAExecutionProvider",) if name in there and torch.cuda.is_available()] + [
        "CPUExecutionProvider"
    ]
