"""HRNet-W48 from AP-10K weights: one and a half times as wide as HRNet-W32.

python tools/download_checkpoints.py hrnet_w48_ap10k
python tools/train.py configs/hrnet_w48_ap10k.py --amp
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
