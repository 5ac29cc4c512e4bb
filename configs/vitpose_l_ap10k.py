"""ViTPose-L from ViTPose++'s AP-10K weights: the large transformer, for a GPU.

python tools/download_checkpoints.py vitpose_l_ap10k
python tools/train.py configs/vitpose_l_ap10k.py --work-dir work_dirs/vitpose_l --amp

What it costs was not measured: 309 million weights, 3.4 times those of ViTPose-B.
"""

_base_ = "vitpose_b_ap10k.py"

pretrained = "vitpose_l_ap10k"
strategy = dict(layer_decay=0.8)
model = dict(backbone=dict(arch="large", drop_path_rate=0.5), head=dict(in_channels=1024))
