"""ViTPose-B from ViTPose++'s AP-10K weights: a transformer, stronger and slower than the convolutional networks.

python tools/download_checkpoints.py vitpose_b_ap10k
python tools/train.py configs/vitpose_b_ap10k.py --work-dir work_dirs/vitpose_b --amp

CPU time of one core, float32: 21700 ms a step at batch 16 from the second phase on, 6280 at batch 4, 596 ms a crop.
On a CPU the first step at batch 16 took 3.8 GB.
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/three_phase.py",
    "_base_/models/vitpose_b.py",
]

pretrained = "vitpose_b_ap10k"
# decay and norm of the gradients as in MMPose's ViTPose; stem and the first quarter of the blocks stay frozen
strategy = dict(reference_lr=0.0005, layer_decay=0.75)
optim_wrapper = dict(optimizer=dict(lr=0.0005, weight_decay=0.1), clip_grad=dict(max_norm=1.0))

# what the network and its pictures have in common
codec = {{_base_.codec}}
model = dict(skeleton={{_base_.skeleton}})
train_dataloader = dict(dataset=dict(codec=codec))
val_dataloader = dict(dataset=dict(codec=codec))
test_dataloader = dict(dataset=dict(codec=codec))
