"""ViTPose-L: wider, with twice as many blocks."""

_base_ = "./vitpose_b.py"

model = dict(backbone=dict(arch="large", drop_path_rate=0.5), head=dict(in_channels=1024))
