"""What every network has: our estimator, and colours as ImageNet's mean and standard deviation make them."""

model = dict(
    type="SkeletonPoseEstimator",
    stride=32,  # input pixels for each cell of what the backbone hands to the head
    dropout=0.0,  # share of the feature maps that the head does without at each training step
    data_preprocessor=dict(
        type="BatchPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        non_blocking=True,
    ),
)
