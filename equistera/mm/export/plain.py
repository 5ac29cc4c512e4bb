"""A trained network as plain MMPose: a config and a checkpoint that need nothing of this project.

A backbone of ours whose module needs no other one of ours goes along as the file that it is, beside the config, which
names it in its ``custom_imports``.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmpose.registry import MODELS

import equistera
from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.files import write_text
from equistera.mm.config import mappings_in
from equistera.mm.data.codecs import completed_test_cfg, uses_udp
from equistera.mm.data.metainfo import dataset_meta_of, metainfo_of
from equistera.mm.network import checkpoint, efficientnet_lite
from equistera.mm.network.model import complete_backbone, complete_head
from equistera.mm.prediction.predict import Predictor
from equistera.outputs import check_folder, same_file
from equistera.skeleton import Skeleton

#: What our network takes beside what MMPose's has.
_OURS = ("skeleton", "codec", "stride", "dropout", "stages", "precision")
#: Packages whose classes an environment with MMPose has.
_STOCK = {"mmpose", "mmdet", "mmcv", "mmengine", "mmpretrain", "torch"}
#: Modules of ours that register classes and import nothing but such packages, by their names.
_TAKEN_ALONG = {module.__name__: module for module in (efficientnet_lite,)}
#: What a config says first that has modules beside it: MMEngine puts the config's folder there, and imports by name.
_BESIDE = 'import sys\n\nsys.path.insert(0, r"{{ fileDirname }}")\n'


def export_plain(
    config: str, checkpoint_file: str | Path, folder: str | Path, skeleton: str | None = None, overwrite: bool = False
) -> tuple[Path, Path]:
    """Writes the config and the checkpoint.

    Args:
        config, checkpoint_file: What the network was trained with, and its weights.
        folder: Where to.
        skeleton: Its keypoints; None: as the checkpoint or the config has them.
        overwrite: Whether an earlier export may be replaced.

    Returns:
        Their paths: ``OUT/NAME.py`` and ``OUT/NAME.pth``, by the name of the config. Modules lie beside them.

    Raises:
        UserError: The checkpoint does not belong to the config, the network has classes that MMPose lacks, or the
            files are there already.
    """
    predictor = Predictor(config, checkpoint_file, device="cpu", skeleton=skeleton)
    plain = plain_config(predictor.config, predictor.skeleton)
    taken = {}
    for kind in _foreign(plain.model):
        if kind.__module__ not in _TAKEN_ALONG:
            raise UserError(f"the network has a class that no MMPose knows: {kind.__name__} of {kind.__module__}")
        taken[kind.__module__.rpartition(".")[2]] = inspect.getsource(_TAKEN_ALONG[kind.__module__])
    if taken:
        plain.custom_imports = {"imports": [*taken], "allow_failed_imports": False}
    out, name = Path(folder), Path(predictor.config.filename).stem
    files = out / f"{name}.py", out / f"{name}.pth"
    beside = {out / f"{module}.py": source for module, source in taken.items()}
    # another export's copy is the same one
    beside = {path: source for path, source in beside.items() if not path.is_file() or path.read_text() != source}
    check_folder("--out", out)
    if there := [str(path) for path in (*files, *beside) if path.exists()]:
        if any(same_file(path, given) for path in there for given in (config, checkpoint_file)):
            raise UserError("the export would take the place of what it is made of:", there, "Choose another --out")
        if not overwrite:
            raise UserError("the export is there already:", there, "--overwrite replaces it; or choose another --out")
    meta = {
        "dataset_meta": dataset_meta_of(predictor.skeleton),
        "cfg": plain.pretty_text,
        "equistera_version": equistera.__version__,
    }
    checkpoint.save(files[1], {"meta": meta, "state_dict": predictor.model.state_dict()})
    for path, text in {files[0]: (_BESIDE if taken else "") + plain.pretty_text, **beside}.items():
        write_text(path, text)
    print("written:", *files, *beside, sep="\n  ")
    print("  (MMPose samples a photo that becomes smaller where this project averages it: points differ a little)")
    return files


def plain_config(config: Config, skeleton: Skeleton) -> Config:
    """What MMPose needs to test and to deploy the network of a resolved config, in its own words."""
    codec = config.codec.to_dict()
    dataset = {
        "type": "BaseCocoStyleDataset",
        "data_mode": "topdown",
        "metainfo": metainfo_of(skeleton),
        "data_root": config.data_root,
        "pipeline": [
            {"type": "LoadImage"},
            {"type": "GetBBoxCenterScale"},
            {"type": "TopdownAffine", "input_size": codec["input_size"], "use_udp": uses_udp(codec)},
            {"type": "PackPoseInputs"},
        ],
        "test_mode": True,
    }
    loaders = {}
    for split in ("val", "test"):
        ours = config.get(f"{split}_dataloader")
        if ours is not None:
            loaders[f"{split}_dataloader"] = {
                "batch_size": ours.batch_size,
                "num_workers": 0,
                "sampler": {"type": "DefaultSampler", "shuffle": False, "round_up": False},
                "dataset": {**dataset, "ann_file": ours.dataset.ann_file, "data_prefix": {**ours.dataset.data_prefix}},
            }
            loaders |= {f"{split}_cfg": {}, f"{split}_evaluator": {"type": "CocoMetric"}}
    return Config(
        {
            "default_scope": "mmpose",
            "dataset_type": dataset["type"],
            "data_mode": dataset["data_mode"],
            "codec": codec,
            "model": model_config(config),
            **loaders,
            "visualizer": {"type": "PoseLocalVisualizer", "vis_backends": [{"type": "LocalVisBackend"}]},
            "default_hooks": {"visualization": {"type": "PoseVisualizationHook", "enable": False}},
        }
    )


def model_config(config: Config) -> dict:
    """A config's network as MMPose's ``TopdownPoseEstimator``."""
    model = copy.deepcopy(config.model.to_dict())
    keypoints = len(skeletons.load(config.skeleton))
    codec = config.codec.to_dict()
    head = complete_head(model["head"], codec, keypoints, model["stride"])
    backbone = complete_backbone(model["backbone"], codec)
    model["test_cfg"] = completed_test_cfg(model.get("test_cfg"), codec)
    model = {name: value for name, value in model.items() if name not in _OURS}
    preprocessor = {**model["data_preprocessor"], "type": "PoseDataPreprocessor"}
    parts = {"backbone": backbone, "head": head, "data_preprocessor": preprocessor}
    return {**model, **parts, "type": "TopdownPoseEstimator"}


def _foreign(model: dict) -> Iterator[type]:
    """Classes of a network that are registered by other packages than MMPose's own."""
    for _, part in mappings_in(model):
        found = MODELS.get(part["type"]) if isinstance(part.get("type"), str) else None
        if found is not None and found.__module__.split(".")[0] not in _STOCK:
            yield found
