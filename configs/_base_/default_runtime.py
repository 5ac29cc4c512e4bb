"""Logging, checkpoints, environment: what every run has."""

custom_imports = dict(imports=["equistera.mm.register"], allow_failed_imports=False)
default_scope = "mmpose"

from_scratch = False  # no pretrained weights: nothing is frozen (train.py --from-scratch)
pretrained = None  # name in the manifest of tools/download_checkpoints.py, or the path of a checkpoint
head_init = "transfer"  # carry the checkpoint's head over by keypoint; or "random"

vis_backends = [
    dict(type="LocalVisBackend"),
    dict(type="TensorboardVisBackend"),
    # dict(type="WandbVisBackend", init_kwargs=dict(project="equistera")),
]
visualizer = dict(type="Visualizer", vis_backends=vis_backends)

default_hooks = dict(
    runtime_info=dict(type="RuntimeInfoHook"),
    timer=dict(type="IterTimerHook"),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    logger=dict(type="LoggerHook", interval=10),
    param_scheduler=None,  # learning rates come from the schedule hook
    checkpoint=dict(type="SaveCheckpoints", interval=5, keep=2, best="val/AP"),
)
custom_hooks = [dict(type="ApplySchedule"), dict(type="SyncBuffersHook"), dict(type="Console")]
log_processor = dict(by_epoch=True, window_size=20)

env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(opencv_num_threads=1), dist_cfg=dict(backend="nccl"))
randomness = dict(seed=0)
