"""ViTPose-S from ViTPose++'s AP-10K weights: the small transformer.

python tools/download_checkpoints.py vitpose_s_ap10k
python tools/train.py configs/vitpose_s_ap10k.py --work-dir work_dirs/vitpose_s --amp

CPU time of one core, float32: 8090 ms a step at batch 16 from the second phase on, 198 ms a crop.
On a CPU two steps took 2.6 GB.
"""

_base_ = "vitpose_b_ap10k.py"

pretrained = "vitpose_s_ap10k"
strategy = dict(layer_decay=0.8)
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=384, num_layers=12, num_heads=12, feedforward_channels=1536),
        drop_path_rate=0.1,
    ),
    head=dict(in_channels=384),
)
