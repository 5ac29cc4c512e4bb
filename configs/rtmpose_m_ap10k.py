"""RTMPose-M from AP-10K weights: the fast one.

python tools/download_checkpoints.py rtmpose_m_ap10k
python tools/train.py configs/rtmpose_m_ap10k.py --work-dir work_dirs/rtmpose_m --amp
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/three_phase.py",
    "_base_/models/rtmpose_m.py",
]

pretrained = "rtmpose_m_ap10k"

# what the network and its pictures have in common
codec = {{_base_.codec}}
model = dict(skeleton={{_base_.skeleton}})
train_dataloader = dict(dataset=dict(codec=codec))
val_dataloader = dict(dataset=dict(codec=codec))
test_dataloader = dict(dataset=dict(codec=codec))
