"""Loaders, sample path and metric of a detector, from the same files as those of poses (horse26.py)."""

_base_ = "horse26.py"

dataset_type = "BoxDataset"

train_pipeline = [
    dict(type="DrawGeometry"),
    dict(type="LoadPicture"),
    dict(type="CropToInput"),
    dict(type="Photometric"),
    dict(type="EncodeBoxes"),
    dict(type="PackTraining"),
]
train_dataloader = dict(dataset=dict(type=dataset_type, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type=dataset_type))
test_dataloader = dict(dataset=dict(type=dataset_type))
val_evaluator = dict(_delete_=True, type="BoxMetric", skeleton={{_base_.skeleton}})
test_evaluator = dict(type="BoxMetric", _delete_=True, skeleton={{_base_.skeleton}}, prefix="test")
