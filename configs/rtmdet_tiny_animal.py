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
        # the picture is seen from half as near to twice as near: an animal may take a tenth of a frame or all of it
        dict(
            name="whole pictures",
            start=0,
            lr_factor=1.0,
            augmentation=dict(preset="light", rotation=5, scale=(0.5, 1.6), shift=0.25, occlusion=0.1),
        ),
        dict(
            name="as they are",
            start=2 / 3,
            lr_factor=0.5,
            augmentation=dict(preset="light", rotation=5, scale=(0.7, 1.3), shift=0.1),
        ),
    ],
)
