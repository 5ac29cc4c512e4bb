"""RTMDet-tiny with one class; sizes as in MMDetection's config, so that its COCO weights fit."""

codec = dict(type="PictureView", input_size=(320, 320))

model = dict(
    type="AnimalDetector",
    skeleton="horse26",
    codec=codec,
    stride=32,
    data_preprocessor=dict(
        type="BatchPreprocessor", mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], bgr_to_rgb=False
    ),
    backbone=dict(
        type="CSPNeXt",
        arch="P5",
        expand_ratio=0.5,
        deepen_factor=0.167,
        widen_factor=0.375,
        channel_attention=True,
        norm_cfg=dict(type="BN"),
        act_cfg=dict(type="SiLU"),
    ),
    neck=dict(
        type="CSPNeXtPAFPN",
        in_channels=[96, 192, 384],
        out_channels=96,
        num_csp_blocks=1,
        expand_ratio=0.5,
        norm_cfg=dict(type="BN"),
        act_cfg=dict(type="SiLU"),
    ),
    bbox_head=dict(
        type="RTMDetSepBNHead",
        num_classes=1,
        in_channels=96,
        stacked_convs=2,
        feat_channels=96,
        anchor_generator=dict(type="MlvlPointGenerator", offset=0, strides=[8, 16, 32]),
        bbox_coder=dict(type="DistancePointBBoxCoder"),
        loss_cls=dict(type="QualityFocalLoss", use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
        with_objectness=False,
        exp_on_reg=False,
        share_conv=True,
        pred_kernel_size=1,
        norm_cfg=dict(type="BN"),
        act_cfg=dict(type="SiLU"),
    ),
    train_cfg=dict(assigner=dict(type="DynamicSoftLabelAssigner", topk=13), allowed_border=-1, pos_weight=-1),
    test_cfg=dict(
        nms_pre=1000, min_bbox_size=0, score_thr=0.01, nms=dict(type="nms", iou_threshold=0.65), max_per_img=100
    ),
    stages=[
        dict(name="stem", tier="early", prefixes=["backbone.stem"]),
        dict(name="stage1", tier="early", prefixes=["backbone.stage1"]),
        dict(name="stage2", tier="middle", prefixes=["backbone.stage2"]),
        dict(name="stage3", tier="middle", prefixes=["backbone.stage3"]),
        dict(name="stage4", tier="middle", prefixes=["backbone.stage4"]),
        dict(name="head", tier="head", prefixes=["neck", "bbox_head"]),
    ],
)
