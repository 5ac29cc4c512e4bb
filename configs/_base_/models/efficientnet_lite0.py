"""EfficientNet-Lite0 (Google 2020) with RTMPose's SimCC head, for CPUs and phones; features of strides 16 and 32."""

_base_ = "./rtmpose_m.py"

model = dict(
    # colours as Google's training had them (efficientnet_lite_builder.py of tensorflow/tpu)
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(_delete_=True, type="EfficientNetLite", arch="lite0", out_indices=(3, 4)),
    # those of stride 32 enlarged and put beside those of stride 16, without weights of its own
    neck=dict(type="FeatureMapProcessor", concat=True),
    head=dict(in_channels=112 + 320),
    stride=16,
)
