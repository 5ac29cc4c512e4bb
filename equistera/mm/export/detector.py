"""A detector that was trained here as one graph: a picture in, boxes and scores out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import equistera
from equistera.checkpoints import file_hash
from equistera.errors import UserError
from equistera.exported import BOXES, PICTURE, SCORES, Exported
from equistera.exporting import ExportJob
from equistera.mm import config as configs
from equistera.mm.export.crops import as_arrays, whole_pictures
from equistera.mm.export.formats import Ports, Run
from equistera.mm.export.graph import DetectorGraph
from equistera.mm.network import checkpoint
from equistera.mm.network.checkpoint_record import animals_in
from equistera.mm.prediction.detect import TrainedBoxes
from equistera.words import counted

#: Boxes of less confidence are not compared, where any have more: near the threshold of what is left out the last bit
#: decides. Of a detector that is sure of none, those with at least this share of its highest confidence.
_SURE, _SHARE = 0.3, 0.5


def is_detector(path: str | Path) -> bool:
    """Whether a checkpoint's network finds boxes."""
    return any(name.startswith("bbox_head.") for name in checkpoint.load(path)["state_dict"])


class DetectorExport:
    """What is exported of a detector, and what it is compared with.

    Args:
        job: Of one detector.

    Attributes:
        graph: Its graph.
        about: What the file says of itself.
        ports: The graph's input and outputs.

    Raises:
        UserError: Options that mean nothing for a detector, or no pictures.
    """

    def __init__(self, job: ExportJob):
        options = job.options
        given: dict[str, object] = {
            "--flip": options.flip,
            "--int8": options.int8,
            "--dynamic-batch": options.dynamic_batch,
        }
        given |= {"--to torchscript": options.to == "torchscript", "--skeleton": options.skeleton}
        if said := [name for name, value in given.items() if value]:
            raise UserError(f"{', '.join(said)}: not for a detector, whose graph takes one picture at a time")
        if len(job.models) > 1:
            raise UserError(f"a detector is exported by itself, found {counted(len(job.models), 'checkpoints')}")
        ((config, path),) = job.models
        found = TrainedBoxes(path)
        self.network = found.model
        self.graph = DetectorGraph(self.network).eval()
        self.about = Exported(
            kind="detector",
            codec={"type": "PictureView", "input_size": list(self.network.input_size)},
            members=(file_hash(path),),
            animals=tuple(animals_in(checkpoint.load(path)["meta"])),
            equistera_version=equistera.__version__,
        )
        samples = [found.sample(image) for image in whole_pictures(options.check or _val_pictures(config, options))]
        self.pictures = as_arrays(samples)
        self.inputs = [self.network.data_preprocessor({"inputs": s["inputs"][None]})["inputs"] for s in samples]
        self.ports = Ports(PICTURE, (BOXES, SCORES), torch.from_numpy(self.pictures[:1]), any_batch=False)

    def check(self, run: Run, tolerance: float) -> str:
        """How the file's boxes compare with the network's own, in words.

        Raises:
            UserError: A box is missing, or lies elsewhere by more than ``tolerance`` pixels of the input; or there is
                none to compare.
        """
        off, missing, count = [], 0, 0
        with torch.inference_mode():
            found = [self.network.boxes(inputs)[0] for inputs in self.inputs]
        surest = max((float(own.scores.max()) for own in found if len(own.scores)), default=0.0)
        if not surest:
            raise UserError(
                f"the detector finds nothing on {counted(len(found), 'pictures')}: its file cannot be compared with it",
                hint="--check names a folder of pictures with animals in them",
            )
        bar = _SURE if surest >= _SURE else _SHARE * surest
        for picture, own in zip(self.pictures, found, strict=True):
            boxes, scores = run(picture[None])
            for box, score in zip(own.bboxes.numpy(), own.scores.numpy(), strict=True):
                if score < bar:
                    continue
                count += 1
                near = np.abs(boxes - box).max(axis=1, initial=0)[np.abs(scores - score) < 0.01]
                missing += not len(near)
                off += [float(near.min())] if len(near) else []
        worst = max(off, default=0.0)
        said = (
            f"{counted(count, 'boxes')} surer than {bar:.2g} on {counted(len(self.pictures), 'pictures')}: {missing} "
            f"missing, mean {np.mean(off or [0]):.2g} px, worst {worst:.2g} px"
        )
        print(f"beside this project's own predictions: {said}", flush=True)
        if missing or worst > tolerance:
            raise UserError(f"boxes differ by more than {tolerance:g} px of the input: nothing was written")
        return said


def _val_pictures(config: str, options) -> str:
    root = str(Path(options.data_root).resolve()) if options.data_root else None
    settled = configs.load(config, data_root=root)
    folder = Path(settled.data_root) / settled.val_dataloader.dataset.data_prefix.img
    if not folder.is_dir():
        raise UserError(
            f"there is no {folder} to check the export on",
            hint="--data-root names another data set, --check a folder of pictures",
        )
    return str(folder)
