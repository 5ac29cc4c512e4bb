"""Loaders, sample path and metrics for ``data/annotations/{train,val,test}.json``; see docs/data.md.

What a config sets anew as ``skeleton``, ``data_root`` or ``codec`` reaches every place (equistera/mm/config.py).
"""

skeleton = "horse26"
data_root = "data"
# what MMPose's inferencers ask: one animal in a box at a time, no detector of its own
dataset_type = "KeypointDataset"
data_mode = "topdown"

# A crop of every animal, decoded once (equistera/mm/data/caching.py). dir "auto": "crop_cache" beside the work dir;
# "off": photos are decoded at every step. All caches in a folder together take at most max_gb: another is refused.
cache = dict(dir="auto", max_gb=20)

train_pipeline = [
    dict(type="DrawGeometry"),
    dict(type="LoadPicture"),
    dict(type="CropToInput"),
    dict(type="Photometric"),
    dict(type="EncodeTargets"),
    dict(type="PackTraining"),
]
# DrawGeometry, LoadPicture and CropToInput do what MMPose's GetBBoxCenterScale, LoadImage and TopdownAffine do, but
# average a photo that becomes smaller instead of sampling it; the size is the network's
val_pipeline = [
    dict(type="DrawGeometry"),
    dict(type="LoadPicture"),
    dict(type="CropToInput"),
    dict(type="PackPoseInputs"),
]

# What a loader leaves out of num_workers, prefetch_factor, persistent_workers and pin_memory follows from the machine
train_dataloader = dict(
    batch_size=16,
    drop_last=True,
    collate_fn=dict(type="stack_samples"),
    sampler=dict(type="ResumableSampler"),
    dataset=dict(
        # augmentation=NAME holds for the whole run, otherwise each phase has its own (strategy.phases)
        type=dataset_type,
        skeleton=skeleton,
        data_root=data_root,
        ann_file="annotations/train.json",
        data_prefix=dict(img="images/train"),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    dataset=dict(
        type=dataset_type,
        skeleton=skeleton,
        data_root=data_root,
        ann_file="annotations/val.json",
        data_prefix=dict(img="images/val"),
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=32,
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    dataset=dict(
        type=dataset_type,
        skeleton=skeleton,
        data_root=data_root,
        ann_file="annotations/test.json",
        data_prefix=dict(img="images/test"),
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type="KeypointMetric", skeleton=skeleton)
test_evaluator = dict(type="KeypointMetric", skeleton=skeleton, prefix="test")
