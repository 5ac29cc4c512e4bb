"""configs/demo_lite0.py with RTMPose's SimCC head instead of heatmaps, as that config had it until November 2026."""

_base_ = "../configs/demo_lite0.py"

codec = dict(
    _delete_=True,
    type="SimCCLabel",
    input_size=(128, 128),
    sigma=(8, 8),
    simcc_split_ratio=2.0,
    normalize=False,
    use_dark=False,
)
model = dict(
    codec=codec,
    head=dict(
        _delete_=True,
        type="RTMCCHead",
        in_channels=112 + 320,
        final_layer_kernel_size=7,
        gau_cfg=dict(
            hidden_dims=256,
            s=128,
            expansion_factor=2,
            dropout_rate=0.0,
            drop_path=0.0,
            act_fn="SiLU",
            use_rel_bias=False,
            pos_enc=False,
        ),
        loss=dict(type="KLDiscretLoss", use_target_weight=True, beta=10.0, label_softmax=True),
    ),
    test_cfg=dict(_delete_=True, flip_test=False),
)
train_dataloader = dict(batch_size=16, dataset=dict(codec=codec))
val_dataloader = dict(dataset=dict(codec=codec))
test_dataloader = dict(dataset=dict(codec=codec))
