"""A small RTMPose on synthetic horses, from scratch, on a CPU in minutes: ``./setup.sh demo`` runs it
where the weights of configs/demo_lite0.py cannot be had.

python tools/make_demo_data.py --out data/demo --train 1200 --size 640x480
python tools/train.py configs/demo_rtmpose_t.py --amp
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/three_phase.py",
    "_base_/models/rtmpose_t.py",
]

data_root = "data/demo"
from_scratch = True
train_cfg = dict(max_epochs=36, val_interval=9)
default_hooks = dict(checkpoint=dict(interval=9))

# targets three times as wide as RTMPose's: random weights find the right neighbourhood sooner
codec = dict(_base_.codec, input_size=(128, 128), sigma=(8, 8))
train_dataloader = dict(dataset=dict(data_root=data_root, codec=codec))
val_dataloader = dict(dataset=dict(data_root=data_root, codec=codec))
test_dataloader = dict(dataset=dict(data_root=data_root, codec=codec))

# The backbone ends at stride 16. From the 4x4 cells of stride 32 random weights predict nothing but the mean pose for
# the first 10 epochs; from 8x8 cells they leave it after 3 (docs/benchmarks.md, "The demo").
model = dict(
    skeleton={{_base_.skeleton}},
    codec=codec,
    backbone=dict(
        # in and out channels, blocks, shortcut, spatial pyramid pooling: CSPNeXt P5 without its stage 4
        arch_ovewrite=[[64, 128, 3, True, False], [128, 256, 6, True, False], [256, 512, 6, False, True]],
        out_indices=(3,),
    ),
    head=dict(in_channels=192),
    stride=16,
    stages=[
        dict(name="stem", tier="early", prefixes=["backbone.stem"]),
        dict(name="stage1", tier="early", prefixes=["backbone.stage1"]),
        dict(name="stage2", tier="middle", prefixes=["backbone.stage2"]),
        dict(name="stage3", tier="middle", prefixes=["backbone.stage3"]),
        dict(name="head", tier="head", prefixes=["head"]),
    ],
)
strategy = dict(
    opens_at=dict(_delete_=True, head=0, stage3=0, stage2=1 / 2),
    # the pictures to test on are drawn like those to train on, and time is short: little augmentation
    phases=[dict(name="demo", start=0, lr_factor=1.0, augmentation="light")],
)
