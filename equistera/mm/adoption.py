"""A config of MMPose as one of this project: its network and codec, trained and evaluated in this project's way."""

from __future__ import annotations

import inspect
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.registry import DATASETS

from equistera import PROJECT
from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.mm.data.codecs import SHIFT, shifts_mirrored

#: Entries that a config of MMPose has in its own way, for which this project's stand: what MMEngine's Runner takes, but
#: for where to start from and to write to, and the variables that its parts are made of.
_THEIRS = {*inspect.signature(Runner).parameters} - {"load_from", "work_dir", "launcher", "experiment_name"}
_THEIRS |= {f"{split}_pipeline" for split in ("train", "val", "test")} | {"dataset_type", "data_mode", "backend_args"}
_THEIRS |= {"codec", "vis_backends", "custom_imports", "runner_type"}


def is_mmposes(config: Config) -> bool:
    """Whether a config describes a network of MMPose and nothing of how this project trains it."""
    return config.get("model", {}).get("type") == "TopdownPoseEstimator" and "strategy" not in config


def adopted(config: Config) -> Config:
    """The config that trains the network of one of MMPose's.

    Network, codec, epochs, batch and data root are taken from it, annotation files and folders of pictures as well
    where they are there, and whatever it says that only this project's configs have (``strategy``, ``ema``, ...). The
    rest is that of ``configs/rtmpose_m_ap10k.py``, or of ``configs/hrnet_w32_ap10k.py`` for heatmaps.

    Raises:
        UserError: It has no codec, or does not say which keypoints it is for.
    """
    said = config.to_dict()
    codec = said.get("codec") or said["model"]["head"].get("decoder")
    if not isinstance(codec, dict):
        raise UserError(f"{config.filename} has no codec with one size of input; this project trains top-down networks")
    codec = {key: value for key, value in codec.items() if key != "_scope_"}
    family = "rtmpose_m_ap10k" if codec["type"] == "SimCCLabel" else "hrnet_w32_ap10k"
    ours = Config.fromfile(PROJECT / "configs" / f"{family}.py", lazy_import=False).to_dict()
    made = ours | {"pretrained": None} | {key: value for key, value in said.items() if key not in _THEIRS}
    made |= {"codec": codec, "model": _model(said["model"], ours["model"], codec)}
    imports = said.get("custom_imports", {}).get("imports", [])
    imports = [imports] if isinstance(imports, str) else list(imports)
    made["custom_imports"]["imports"] = [*dict.fromkeys([*imports, *made["custom_imports"]["imports"]])]
    made["skeleton"] = said.get("skeleton") or _skeleton_of(said)
    for name in ("max_epochs", "val_interval"):
        made["train_cfg"][name] = said.get("train_cfg", {}).get(name, ours["train_cfg"][name])
    root = Path(made["data_root"]) if Path(made["data_root"]).is_absolute() else PROJECT / made["data_root"]
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        theirs, loader = said.get(name, {}), made[name]
        loader["batch_size"] = theirs.get("batch_size", loader["batch_size"])
        dataset = theirs.get("dataset", {})
        if (root / dataset.get("ann_file", ".")).is_file():
            loader["dataset"] |= {key: dataset[key] for key in ("ann_file", "data_prefix") if key in dataset}
    return Config(made, filename=config.filename)


def _model(theirs: dict, ours: dict, codec: dict) -> dict:
    size, features = (theirs["head"].get(name) for name in ("input_size", "in_featuremap_size"))
    stride = size[0] // features[0] if size and features else ours["stride"]
    backbone = dict(theirs["backbone"])
    if backbone.get("norm_cfg", {}).get("type") == "SyncBN":
        # processes share their statistics at the end of an epoch here, on CPUs as well
        backbone["norm_cfg"] = {**backbone["norm_cfg"], "type": "BN"}
    # what follows from codec and skeleton stands nowhere else
    follows = ("out_channels", "decoder", "input_size", "in_featuremap_size", "simcc_split_ratio")
    head = {key: value for key, value in theirs["head"].items() if key not in follows}
    kept = {key: value for key, value in theirs.items() if key not in ("type", "_scope_", "train_cfg")}
    shift = {} if shifts_mirrored(codec) is None else {SHIFT: False}
    return kept | {
        "type": ours["type"],
        "stride": stride,
        "dropout": 0.0,
        "backbone": backbone,
        "head": head,
        "data_preprocessor": ours["data_preprocessor"]
        | {key: theirs["data_preprocessor"][key] for key in ("mean", "std", "bgr_to_rgb")},
        # what MMPose does where a config does not say it is said
        "test_cfg": {**shift, **theirs.get("test_cfg", {}), "flip_test": False},
    }


def _skeleton_of(said: dict) -> str:
    """The built-in skeleton whose keypoints MMPose's data set has."""
    kind = DATASETS.get(str(said.get("dataset_type")))
    name = Path(str(getattr(kind, "METAINFO", {}).get("from_file", ""))).stem
    if name in skeletons.builtin_names():
        return name
    raise UserError(
        "the config does not say which keypoints are trained",
        hint=f'skeleton = "horse26" in it, or one of {", ".join(skeletons.builtin_names())}, or --skeleton',
    )
