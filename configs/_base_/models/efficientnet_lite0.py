"""EfficientNet-Lite0 (Google 2020) with a heatmap head, for CPUs and phones; features of strides 16 and 32.

On photos of real horses heatmaps were worth more than RTMPose's SimCC head on the same features (docs/benchmarks.md,
"Real horses"), and their weights serve inputs of any size.
"""

_base_ = "./pose_estimator.py"

# sides of 4 times as many pixels as cells; sigma is in cells
codec = dict(type="UDPHeatmap", input_size=(192, 192), heatmap_size=(48, 48), sigma=2)

model = dict(
    codec=codec,
    # colours as Google's training had them (efficientnet_lite_builder.py of tensorflow/tpu)
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(type="EfficientNetLite", arch="lite0", out_indices=(3, 4)),
    # those of stride 32 enlarged and put beside those of stride 16, without weights of its own
    neck=dict(type="FeatureMapProcessor", concat=True),
    head=dict(
        type="HeatmapHead",
        in_channels=112 + 320,
        # from cells of 16 pixels to cells of 4
        deconv_out_channels=(128, 128),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type="KeypointMSELoss", use_target_weight=True),
    ),
    stride=16,
    test_cfg=dict(flip_test=False, flip_mode="heatmap"),
)
