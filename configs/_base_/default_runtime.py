"""Logging, checkpoints, environment: what every run has."""

custom_imports = dict(imports=["equistera.mm.register"], allow_failed_imports=False)
default_scope = "mmpose"
runner_type = "Trainer"

from_scratch = False  # no pretrained weights: nothing is frozen (train.py --from-scratch)
pretrained = None  # name in the manifest of tools/download_checkpoints.py, or the path of a checkpoint
head_init = "transfer"  # carry the checkpoint's head over by keypoint; or "random"

vis_backends = [
    dict(type="WholePicturesBackend", img_save_dir="../../pictures"),  # of the work dir, from its folder of this start
    dict(type="TensorboardVisBackend"),
    # dict(type="WandbVisBackend", init_kwargs=dict(project="horse-pose", name="experiment")),
    # dict(type="MLflowBackend", exp_name="equistera"),
]
visualizer = dict(type="PatientVisualizer", vis_backends=vis_backends)

default_hooks = dict(
    runtime_info=dict(type="RuntimeInfo"),
    timer=dict(type="IterTimerHook"),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    logger=dict(type="LoggerHook", interval=10),
    param_scheduler=None,  # learning rates come from the strategy
    checkpoint=dict(type="SaveCheckpoints", interval=5, keep=2, best="val/AP"),
)
custom_hooks = [
    dict(type="PredictionPictures", pictures=8),
]

# Which weights are evaluated and saved as best.pth: see equistera/mm/evaluation/evaluated_weights.py
training_subset = dict(pictures=48)  # training pictures scored beside the validation set, without augmentation
norm_statistics = dict(pictures=64)  # re-estimate BatchNorm statistics over so many training pictures; None: never
ema = dict(share=0.02, at_most=3500)  # average of the weights: half-life, share of the run; None: none
# Give up after so many epochs without an improvement of the metric that is watched; None: never
early_stopping = dict(patience=None, min_delta=0.0)

log_processor = dict(by_epoch=True, window_size=20)

env_cfg = dict(cudnn_benchmark=True, mp_cfg=dict(opencv_num_threads=1), dist_cfg=dict(backend="nccl"))
# deterministic: on a GPU only algorithms that add in the same order each time: slower, the same weights from each run
randomness = dict(seed=0, deterministic=False)
