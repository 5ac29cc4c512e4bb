"""ViTPose-S from ViTPose++'s AP-10K weights: the small transformer.

python tools/download_checkpoints.py vitpose_s_ap10k
python tools/train.py configs/vitpose_s_ap10k.py --work-dir work_dirs/vitpose_s --amp

CPU time of one core, float32: 8090 ms a step at batch 16 from the second phase on, 198 ms a crop.
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/three_phase.py",
    "_base_/models/vitpose_s.py",
]

pretrained = "vitpose_s_ap10k"
# decay and norm of the gradients as in MMPose's ViTPose; stem and the first quarter of the blocks stay frozen
strategy = dict(reference_lr=0.0005, layer_decay=0.8)
optim_wrapper = dict(optimizer=dict(lr=0.0005, weight_decay=0.1), clip_grad=dict(max_norm=1.0))

# what the network and its pictures have in common
codec = {{_base_.codec}}
model = dict(skeleton={{_base_.skeleton}})
train_dataloader = dict(dataset=dict(codec=codec))
val_dataloader = dict(dataset=dict(codec=codec))
test_dataloader = dict(dataset=dict(codec=codec))
