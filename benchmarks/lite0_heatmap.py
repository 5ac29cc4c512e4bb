"""configs/demo_lite0.py with heatmaps of 32x32 instead of SimCC: what the ways to decode them are worth."""

_base_ = "../configs/demo_lite0.py"

codec = dict(_delete_=True, type="MSRAHeatmap", input_size=(128, 128), heatmap_size=(32, 32), sigma=1.5)
model = dict(
    codec=codec,
    head=dict(
        _delete_=True,
        type="HeatmapHead",
        in_channels=112 + 320,
        # from cells of 16 pixels to cells of 4
        deconv_out_channels=(128, 128),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type="KeypointMSELoss", use_target_weight=True),
    ),
    test_cfg=dict(flip_test=False, flip_mode="heatmap"),
)
train_dataloader = dict(dataset=dict(codec=codec))
val_dataloader = dict(dataset=dict(codec=codec))
test_dataloader = dict(dataset=dict(codec=codec))
