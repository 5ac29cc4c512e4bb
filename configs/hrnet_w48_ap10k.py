"""HRNet-W48 from AP-10K weights: one and a half times as wide as HRNet-W32.

python tools/download_checkpoints.py hrnet_w48_ap10k
python tools/train.py configs/hrnet_w48_ap10k.py --amp

CPU time of one core, float32: 17490 ms a step at batch 16 in the first phase, 452 ms a crop (HRNet-W32: 8640, 249).
"""

_base_ = "hrnet_w32_ap10k.py"

pretrained = "hrnet_w48_ap10k"
model = dict(
    backbone=dict(
        extra=dict(
            stage2=dict(num_channels=(48, 96)),
            stage3=dict(num_channels=(48, 96, 192)),
            stage4=dict(num_channels=(48, 96, 192, 384)),
        ),
    ),
    head=dict(in_channels=48),
)
