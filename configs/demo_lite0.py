"""EfficientNet-Lite0 from ImageNet weights on synthetic horses, on a CPU.

python tools/download_checkpoints.py efficientnet_lite0
python tools/make_demo_data.py --out data/demo --train 2400 --size 640x480
python tools/train.py configs/demo_lite0.py --amp

``./setup.sh demo`` runs it. Beside configs/demo_rtmpose_t.py, from random weights: docs/benchmarks.md, "The demo".
"""

_base_ = "lite0_imagenet.py"

data_root = "data/demo"
train_cfg = dict(max_epochs=18, val_interval=9)
default_hooks = dict(checkpoint=dict(interval=9))

codec = dict(_base_.codec, input_size=(128, 128), heatmap_size=(32, 32), sigma=1.5)
model = dict(codec=codec)
# more steps than with 16 in the same time: which leg is which is learnt late (docs/benchmarks.md, "The demo")
train_dataloader = dict(batch_size=8, dataset=dict(data_root=data_root, codec=codec))
val_dataloader = dict(dataset=dict(data_root=data_root, codec=codec))
test_dataloader = dict(dataset=dict(data_root=data_root, codec=codec))

strategy = dict(
    # photos taught the weights nothing of drawn horses: all of them learn, the backbone at half the head's rate
    tier_lr=dict(head=1e-3, middle=5e-4, early=5e-4),
    opens_at=dict(_delete_=True, head=0, stage4=0, stage3=0, stage2=0, stage1=0, stem=0),
    # the pictures to test on are drawn like those to train on, and time is short: little augmentation
    phases=[dict(name="demo", start=0, lr_factor=1.0, augmentation="light")],
)
