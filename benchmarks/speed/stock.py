"""What stock MMPose does with a config of ours: its own transforms, model class, optimiser and schedule.

Model, pictures, batch, augmentation and number of epochs stay the config's. The rest is from MMPose 1.3.2:
configs/animal_2d_keypoint/rtmpose/ap10k/rtmpose-m_8xb64-210e_ap10k-256x256.py for RTMPose, and
configs/animal_2d_keypoint/topdown_heatmap/ap10k/td-hm_hrnet-w32_8xb64-210e_ap10k-256x256.py for HRNet.
"""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmpose.registry import MODELS
from torch import nn

from equistera import skeleton as skeletons
from equistera.augmentation import PRESETS, Augmentation
from equistera.mm.data.metainfo import metainfo_of
from equistera.mm.data.photometric import DEGREES
from equistera.mm.export.plain import model_config

RTMPOSE_LR, HRNET_LR = 4e-3, 5e-4


def pipeline(codec: dict, values: Augmentation) -> list[dict]:
    """MMPose's training transforms with the ranges and probabilities of ``values``.

    There is none for things in front of the animal, so stock goes without and has that much less to do.

    Args:
        codec: The config's.
        values: A preset; its photometric part must be the guide's, which are MMPose's defaults but for the hue.

    Returns:
        The steps.
    """
    holes, (low, high) = values.dropout_holes, values.dropout_size
    noise = tuple(sigma / 255 for sigma in values.noise_sigma)
    return [
        {"type": "LoadImage"},
        {"type": "GetBBoxCenterScale"},
        {"type": "RandomFlip", "prob": values.flip, "direction": "horizontal"},
        {"type": "RandomHalfBody", "prob": values.half_body},
        {
            "type": "RandomBBoxTransform",
            "shift_factor": values.shift,
            "shift_prob": 1.0,
            "scale_factor": values.scale,
            "rotate_factor": values.rotation,
            "rotate_prob": 1.0,
        },
        {"type": "TopdownAffine", "input_size": tuple(codec["input_size"])},
        {
            "type": "PhotometricDistortion",
            "brightness_delta": round(values.brightness),
            "contrast_range": values.contrast,
            "saturation_range": values.saturation,
            "hue_delta": round(values.hue / DEGREES),
        },
        {
            "type": "Albumentation",
            "transforms": [
                {"type": "GaussianBlur", "blur_limit": 0, "sigma_limit": values.blur_sigma, "p": values.blur},
                {"type": "GaussNoise", "std_range": noise, "p": values.noise},
                {
                    "type": "CoarseDropout",
                    "num_holes_range": holes,
                    "hole_height_range": (low, high),
                    "hole_width_range": (low, high),
                    "p": values.dropout,
                },
            ],
        },
        {"type": "GenerateTarget", "encoder": dict(codec)},
        {"type": "PackPoseInputs"},
    ]


def val_pipeline(codec: dict) -> list[dict]:
    """MMPose's transforms for evaluation and inference."""
    return [
        {"type": "LoadImage"},
        {"type": "GetBBoxCenterScale"},
        {"type": "TopdownAffine", "input_size": tuple(codec["input_size"])},
        {"type": "PackPoseInputs"},
    ]


def dataset(config: Config, values: Augmentation | None) -> dict:
    """MMPose's data set over the training pictures of ``config``, augmented by ``values`` or (None) as for testing."""
    ours = config.train_dataloader.dataset
    return {
        "type": "BaseCocoStyleDataset",
        "data_mode": "topdown",
        "metainfo": metainfo_of(skeletons.load(config.skeleton)),
        "data_root": config.data_root,
        "ann_file": ours.ann_file,
        "data_prefix": dict(ours.data_prefix),
        "pipeline": val_pipeline(config.codec) if values is None else pipeline(config.codec, values),
        "test_mode": values is None,
    }


def loader(config: Config, preset: str = "aggressive") -> dict:
    """MMPose's training loader with the batch and the workers of ``config``."""
    ours = config.train_dataloader
    return {
        "batch_size": ours.batch_size,
        "num_workers": ours.num_workers,
        "persistent_workers": ours.num_workers > 0,
        "drop_last": True,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "dataset": dataset(config, PRESETS[preset]),
    }


def runner(config: Config, work_dir: str, amp: bool = False) -> Config:
    """What MMEngine's own Runner needs to train the network of ``config`` as MMPose does, without evaluation."""
    epochs = config.train_cfg.max_epochs
    simcc = config.codec.type == "SimCCLabel"
    return Config(
        {
            "default_scope": "mmpose",
            "model": model_config(config),
            "train_dataloader": loader(config),
            "train_cfg": {"by_epoch": True, "max_epochs": epochs, "val_interval": epochs},
            "optim_wrapper": optim_wrapper(config, amp),
            "param_scheduler": schedule(epochs)["param_scheduler"] if simcc else hrnet_scheduler(epochs),
            "custom_hooks": [*(schedule(epochs)["custom_hooks"] if simcc else ()), {"type": "SyncBuffersHook"}],
            # from here on _base_/default_runtime.py
            "default_hooks": {
                "timer": {"type": "IterTimerHook"},
                "logger": {"type": "LoggerHook", "interval": 50},
                "param_scheduler": {"type": "ParamSchedulerHook"},
                "checkpoint": {"type": "CheckpointHook", "interval": 10},
                "sampler_seed": {"type": "DistSamplerSeedHook"},
            },
            "env_cfg": {
                "cudnn_benchmark": False,
                "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
                "dist_cfg": {"backend": "nccl"},
            },
            "log_processor": {"type": "LogProcessor", "window_size": 50, "by_epoch": True, "num_digits": 6},
            "log_level": "ERROR",
            "work_dir": work_dir,
            "experiment_name": f"stock_{Path(work_dir).name}",
        }
    )


def hrnet_scheduler(max_epochs: int) -> list[dict]:
    """What the HRNet config says of the learning rate, whose steps lie at 17/21 and 20/21 of a run."""
    milestones = [round(max_epochs * share) for share in (17 / 21, 20 / 21)]
    return [
        {"type": "LinearLR", "begin": 0, "end": 500, "start_factor": 0.001, "by_epoch": False},
        {
            "type": "MultiStepLR",
            "begin": 0,
            "end": max_epochs,
            "milestones": milestones,
            "gamma": 0.1,
            "by_epoch": True,
        },
    ]


def optim_wrapper(config: Config, amp: bool = False) -> dict:
    """MMPose's optimiser for the family of ``config``: one learning rate for everything, nothing frozen, no clipping.

    Args:
        config: Its codec tells the family.
        amp: float16 as MMEngine does it.
    """
    kind = {"type": "AmpOptimWrapper"} if amp else {"type": "OptimWrapper"}
    if config.codec.type != "SimCCLabel":
        return {**kind, "optimizer": {"type": "Adam", "lr": HRNET_LR}}
    return {
        **kind,
        "optimizer": {"type": "AdamW", "lr": RTMPOSE_LR, "weight_decay": 0.05},
        "paramwise_cfg": {"norm_decay_mult": 0, "bias_decay_mult": 0, "bypass_duplicate": True},
    }


def build(config: Config, amp: bool = False) -> tuple[nn.Module, OptimWrapper]:
    """The network in training mode and its optimiser, on the device that ours would use."""
    model = MODELS.build(model_config(config))
    model.init_weights()
    model.to("cuda" if torch.cuda.is_available() else "cpu").train()
    return model, build_optim_wrapper(model, optim_wrapper(config, amp))


def schedule(max_epochs: int) -> dict:
    """What the RTMPose config says of optimiser, learning rate and averaging, for a run of this length."""
    return {
        "optim_wrapper": {
            "type": "OptimWrapper",
            "optimizer": {"type": "AdamW", "lr": RTMPOSE_LR, "weight_decay": 0.05},
            "paramwise_cfg": {"norm_decay_mult": 0, "bias_decay_mult": 0, "bypass_duplicate": True},
        },
        "param_scheduler": [
            {"type": "LinearLR", "start_factor": 1e-5, "by_epoch": False, "begin": 0, "end": 1000},
            {
                "type": "CosineAnnealingLR",
                "eta_min": RTMPOSE_LR * 0.05,
                "begin": max_epochs // 2,
                "end": max_epochs,
                "T_max": max_epochs - max_epochs // 2,
                "by_epoch": True,
                "convert_to_iter_based": True,
            },
        ],
        "custom_hooks": [
            {
                "type": "EMAHook",
                "ema_type": "ExpMomentumEMA",
                "momentum": 0.0002,
                "update_buffers": True,
                "priority": 49,
            },
        ],
    }
