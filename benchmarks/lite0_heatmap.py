"""configs/demo_lite0.py with heatmaps of 48x48 instead of SimCC, at 192x192: what the ways to decode them are worth."""

_base_ = "../configs/demo_lite0.py"

codec = dict(_delete_=True, type="MSRAHeatmap", input_size=(192, 192), heatmap_size=(48, 48), sigma=2)
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
