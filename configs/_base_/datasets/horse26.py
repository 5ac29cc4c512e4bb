"""Loaders, sample path and metrics for ``data/annotations/{train,val,test}.json``; see data/README.md."""

skeleton = "horse26"
data_root = "data"

# A crop of every animal, decoded once (equistera/mm/data/caching.py). dir None: "crop_cache" beside the work dir;
# "off": photos are decoded at every step. All caches in a folder together take at most max_gb of the disk.
cache = dict(dir=None, max_gb=20)

# skeleton, data_root and codec are filled in from the top level, see equistera/mm/config.py
train_pipeline = [
    dict(type="DrawGeometry"),
    dict(type="LoadPicture"),
    dict(type="CropToInput", codec=None),
    dict(type="Photometric"),
    dict(type="EncodeTargets", codec=None),
    dict(type="PackTraining"),
]
val_pipeline = [
    dict(type="DrawGeometry"),
    dict(type="LoadPicture"),
    dict(type="CropToInput", codec=None),
    dict(type="PackPoseInputs"),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=None,  # None: from the machine, as are the next three
    prefetch_factor=None,
    persistent_workers=None,
    pin_memory=None,
    drop_last=True,
    collate_fn=dict(type="stack_samples"),
    sampler=dict(type="ResumableSampler"),
    dataset=dict(
        type="KeypointDataset",
        skeleton=None,
        data_root=None,
        codec=None,
        ann_file="annotations/train.json",
        data_prefix=dict(img="images/train"),
        pipeline=train_pipeline,
        # a preset holds for the whole run; None, or what a run writes here by epoch: each phase's own (strategy.phases)
        augmentation=None,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=None,
    prefetch_factor=None,
    persistent_workers=None,
    pin_memory=None,
    sampler=dict(type="DefaultSampler", shuffle=False, round_up=False),
    dataset=dict(
        type="KeypointDataset",
        skeleton=None,
        data_root=None,
        codec=None,
        ann_file="annotations/val.json",
        data_prefix=dict(img="images/val"),
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
# ann_file and train_ann_file are filled in from the loaders, so that scores are of the pictures that were predicted on
val_evaluator = dict(type="KeypointMetric", skeleton=None, data_root=None, ann_file=None, train_ann_file=None)
