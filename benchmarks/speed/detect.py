"""Pictures a second from photo files to boxes: a detector, its exported files, and MMDetection's RTMDet-tiny."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable
from pathlib import Path

import mmdet
import torch
from mmengine.config import Config

import equistera
from equistera.dataset.images import read_rgb
from equistera.exported import BOXES, PICTURE, SCORES, Exported
from equistera.frames import Frame
from equistera.mm import config as configs
from equistera.mm.export import formats
from equistera.mm.export.crops import as_arrays
from equistera.mm.export.graph import DetectorGraph
from equistera.mm.prediction.detect import TrainedBoxes
from speed.infer import photos_in_order
from speed.networks import save_untrained


def works(path: str, cfg_options: list[str], pictures: list[Path], batch: int, folder: Path) -> dict[str, Callable]:
    """What each contestant does with all pictures, by name; ``batch`` of them at a time go to those that take several.

    Args:
        path: A detector's config, whose network gets random weights.
        cfg_options: ``key=value`` overrides.
        pictures: Photos.
        batch: Pictures at a time.
        folder: Takes the files.
    """
    config = configs.load(path, cfg_options)
    weights = save_untrained(config, folder / "weights.pth", config=config.pretty_text)
    found = TrainedBoxes(weights, amp=None)
    done: dict[str, Callable] = {"PyTorch": _ours(found, pictures, batch)}
    plain = TrainedBoxes(weights)
    size = plain.model.input_size
    about = Exported("detector", {"type": "PictureView", "input_size": list(size)}, (), equistera.__version__)
    example = torch.from_numpy(as_arrays([plain.sample(read_rgb(pictures[0]))]))
    onnx, xml = folder / f"{batch}.onnx", folder / f"{batch}.xml"
    ports = formats.Ports(PICTURE, (BOXES, SCORES), example, any_batch=False)
    formats.to_onnx(DetectorGraph(plain.model).eval(), ports, about.as_text(), onnx)
    done["ONNX"] = _files(plain, formats.run_onnx(onnx), pictures)
    if importlib.util.find_spec("openvino"):
        formats.to_openvino(onnx, about.as_text(), xml)
        done["OpenVINO"] = _files(plain, formats.run_openvino(xml), pictures)
    done["MMDetection"] = _stocks(size, pictures, batch, folder)
    return done


def _ours(found: TrainedBoxes, pictures: list[Path], batch: int) -> Callable[[], int]:
    def work() -> int:
        images = photos_in_order(pictures)
        frames = [Frame(path.name, 0, image) for path, image in zip(pictures, images, strict=True)]
        return sum(len(found.glance(frames[start : start + batch])) for start in range(0, len(frames), batch))

    return work


def _files(found: TrainedBoxes, run: formats.Run, pictures: list[Path]) -> Callable[[], int]:
    def work() -> int:
        return sum(1 for image in photos_in_order(pictures) if run(as_arrays([found.sample(image)])))

    return work


def _stocks(size: tuple[int, int], pictures: list[Path], batch: int, folder: Path) -> Callable[[], int]:
    """MMDetection's inferencer, which MMPose's asks for boxes one picture after the other."""
    from mmdet.apis import DetInferencer

    config = Config.fromfile(Path(mmdet.__file__).parent / ".mim/configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py")
    config.model.backbone.init_cfg = None
    # as ours leave them out: random weights find a box everywhere
    config.model.test_cfg.score_thr = 0.05
    for step in config.test_dataloader.dataset.pipeline:
        if step.type in ("Resize", "Pad"):
            step["scale" if step.type == "Resize" else "size"] = size
    file = folder / "mmdetection.py"
    config.dump(file)
    with contextlib.redirect_stdout(io.StringIO()):
        inferencer = DetInferencer(model=str(file), device="cpu", show_progress=False)
    names = [str(path) for path in pictures]
    return lambda: len(inferencer(names, batch_size=batch, return_datasamples=True)["predictions"])
