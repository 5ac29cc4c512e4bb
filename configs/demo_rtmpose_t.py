"""A small RTMPose on synthetic horses, from scratch, on a CPU in minutes: ``./setup.sh demo`` runs it.

python tools/make_demo_data.py --out data/demo
python tools/train.py configs/demo_rtmpose_t.py
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
train_cfg = dict(max_epochs=20, val_interval=5)
strategy = dict(
    phases=[
        dict(name="wide", start=0, lr_factor=1.0, augmentation="balanced"),
        dict(name="settle", start=0.7, lr_factor=1.0, augmentation="light"),
    ],
)
