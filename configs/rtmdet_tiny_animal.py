"""RTMDet-tiny (Lyu et al. 2022) that finds the animals of a data set: for pictures and videos without boxes.

python tools/train.py configs/rtmdet_tiny_animal.py
python tools/analyze.py POSE_WORK_DIR VIDEO --out DIR --det work_dirs/rtmdet_tiny_animal/best.pth

It learns from the boxes of the animals in pictures with a labelled one: such a picture should have all of its animals
boxed. Those without a keypoint count too.
"""

_base_ = [
    "_base_/default_runtime.py",
    "_base_/datasets/boxes.py",
    "_base_/schedules/three_phase.py",
    "_base_/models/rtmdet_tiny.py",
]

pretrained = "rtmdet_tiny_coco"

# what the network and its pictures have in common
codec = {{_base_.codec}}
model = dict(skeleton={{_base_.skeleton}})
train_dataloader = dict(dataset=dict(codec=codec))
val_dataloader = dict(dataset=dict(codec=codec))
test_dataloader = dict(dataset=dict(codec=codec))

# drawn poses are of no use here
custom_hooks = []
strategy = dict(
    phases=[
        # from close views, in which there often is no animal, to far ones, in which it is small
        dict(
            name="whole pictures",
            start=0,
            lr_factor=1.0,
            augmentation=dict(preset="light", rotation=5, scale=(0.3, 1.8), shift=0.5, occlusion=0.1),
        ),
        dict(
            name="as they are",
            start=2 / 3,
            lr_factor=0.5,
            augmentation=dict(preset="light", rotation=5, scale=(0.4, 1.5), shift=0.4),
        ),
    ],
)
