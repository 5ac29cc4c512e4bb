"""A small RTMDet on synthetic horses, on a CPU in minutes, from the backbone of the demo's pose model.

./setup.sh demo
python tools/train.py configs/demo_rtmdet.py --amp
"""

_base_ = "rtmdet_tiny_animal.py"

data_root = "data/demo"
pretrained = "work_dirs/demo/best.pth"
train_cfg = dict(max_epochs=20, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=4))

# horses are about as large here as in the crops of the pose model
codec = dict(_base_.codec, input_size=(224, 224))
train_dataloader = dict(dataset=dict(data_root=data_root, codec=codec))
val_dataloader = dict(dataset=dict(data_root=data_root, codec=codec))
test_dataloader = dict(dataset=dict(data_root=data_root, codec=codec))

# the backbone of demo_rtmpose_t.py and its colours; its two last stages are the two levels
model = dict(
    codec=codec,
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        arch_ovewrite=[[64, 128, 3, True, False], [128, 256, 6, True, False], [256, 512, 6, False, True]],
        out_indices=(2, 3),
    ),
    neck=dict(in_channels=[96, 192], out_channels=64),
    bbox_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(strides=[8, 16]),
    ),
    stride=16,
    stages=[
        dict(name="stem", tier="early", prefixes=["backbone.stem"]),
        dict(name="stage1", tier="early", prefixes=["backbone.stage1"]),
        dict(name="stage2", tier="middle", prefixes=["backbone.stage2"]),
        dict(name="stage3", tier="middle", prefixes=["backbone.stage3"]),
        dict(name="head", tier="head", prefixes=["neck", "bbox_head"]),
    ],
)
strategy = dict(opens_at=dict(_delete_=True, head=0, stage3=0, stage2=1 / 2))
