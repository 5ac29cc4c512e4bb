"""Loaders, sample path and metrics for ``data/annotations/{train,val,test}.json``; see data/README.md."""

skeleton = "horse26"
data_root = "data"

# skeleton, data_root and codec are filled in from the top level, see equistera/mm/config.py
train_pipeline = [
    dict(type="DrawGeometry"),
    dict(type="LoadPicture", codec=None),
    dict(type="CropToInput", codec=None),
    dict(type="Photometric"),
    dict(type="EncodeTargets", codec=None),
    dict(type="PackPoseInputs"),
]
val_pipeline = [
    dict(type="DrawGeometry"),
    dict(type="LoadPicture", codec=None),
    dict(type="CropToInput", codec=None),
    dict(type="PackPoseInputs"),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=None,  # None: from the machine
    drop_last=True,
    sampler=dict(type="ResumableSampler"),
    dataset=dict(
        type="KeypointDataset",
        skeleton=None,
        data_root=None,
        ann_file="annotations/train.json",
        data_prefix=dict(img="images/train"),
        pipeline=train_pipeline,
        augmentation=None,  # None: each phase's own (strategy.phases); a preset's name holds for the whole run
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=None,
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    dataset=dict(
        type="KeypointDataset",
        skeleton=None,
        data_root=None,
        ann_file="annotations/val.json",
        data_prefix=dict(img="images/val"),
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type="KeypointMetric", skeleton=None, data_root=None, ann_file="annotations/val.json")
