"""HRNet-W32 from AP-10K weights: the precise one.

python tools/download_checkpoints.py hrnet_w32_ap10k
python tools/train.py configs/hrnet_w32_ap10k.py --work-dir work_dirs/hrnet_ap10k
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/three_phase.py",
    "_base_/models/hrnet_w32.py",
]

pretrained = "hrnet_w32_ap10k"
strategy = dict(reference_lr=0.0005)
optim_wrapper = dict(optimizer=dict(lr=0.0005, weight_decay=0.01))

# what the network and its pictures have in common
codec = {{_base_.codec}}
model = dict(skeleton={{_base_.skeleton}})
train_dataloader = dict(dataset=dict(codec=codec))
val_dataloader = dict(dataset=dict(codec=codec))
test_dataloader = dict(dataset=dict(codec=codec))
