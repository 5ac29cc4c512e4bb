"""A small RTMPose on synthetic horses, from scratch, on a CPU in minutes: ``./setup.sh demo`` runs it.

python tools/make_demo_data.py --out data/demo --train 1200 --size 640x480
python tools/train.py configs/demo_rtmpose_t.py --amp
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/horse26.py",
    "_base_/schedules/three_phase.py",
    "_base_/models/rtmpose_t.py",
]

data_root = "data/demo"
from_scratch = True
codec = dict(input_size=(160, 160), sigma=(4.9, 4.9))
train_cfg = dict(max_epochs=36, val_interval=6)
default_hooks = dict(checkpoint=dict(interval=6))
# the pictures to test on are drawn like those to train on, and time is short: little augmentation
strategy = dict(phases=[dict(name="demo", start=0, lr_factor=1.0, augmentation="light")])
