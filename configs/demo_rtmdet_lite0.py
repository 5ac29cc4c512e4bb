"""A small detector on synthetic horses, on a CPU in minutes, from the backbone of configs/demo_lite0.py.

./setup.sh demo
python tools/train.py configs/demo_rtmdet_lite0.py --amp
"""

_base_ = "demo_rtmdet.py"

# the pose model's backbone and its colours; the feature maps of strides 8 and 16 are the two levels
model = dict(
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(_delete_=True, type="EfficientNetLite", arch="lite0", out_indices=(2, 3)),
    neck=dict(in_channels=[40, 112]),
    stages=[
        dict(name="stem", tier="early", prefixes=["backbone.conv_stem", "backbone.bn1"]),
        dict(name="stage1", tier="early", prefixes=["backbone.blocks.0", "backbone.blocks.1"]),
        dict(name="stage2", tier="middle", prefixes=["backbone.blocks.2"]),
        dict(name="stage3", tier="middle", prefixes=["backbone.blocks.3", "backbone.blocks.4"]),
        dict(name="head", tier="head", prefixes=["neck", "bbox_head"]),
    ],
)
