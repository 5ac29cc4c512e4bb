"""RTMPose-T: the smallest of the family, for a CPU."""

_base_ = "./rtmpose_m.py"

model = dict(backbone=dict(deepen_factor=0.167, widen_factor=0.375), head=dict(in_channels=384))
