"""ViTPose-B (Xu et al. 2022): a vision transformer with the classic decoder; sizes as in the public AP-10K weights.

The weights were trained on crops of 192x256 pixels; at 256x256, as here, the positions are interpolated when they are
loaded.
"""

_base_ = "pose_estimator.py"

codec = dict(type="MSRAHeatmap", input_size=(256, 256), heatmap_size=(64, 64), sigma=2)

model = dict(
    codec=codec,
    stride=16,
    backbone=dict(
        type="mmpretrain.VisionTransformer",
        arch="base",
        patch_size=16,
        qkv_bias=True,
        drop_path_rate=0.3,
        with_cls_token=False,
        out_type="featmap",
        patch_cfg=dict(padding=2),
    ),
    head=dict(
        type="HeatmapHead",
        in_channels=768,
        deconv_out_channels=(256, 256),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type="KeypointMSELoss", use_target_weight=True),
    ),
    test_cfg=dict(flip_test=False, flip_mode="heatmap"),
)
