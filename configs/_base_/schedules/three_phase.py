"""The training strategy: what trains when, at what learning rate, with which augmentation.

All times are shares of ``train_cfg.max_epochs``, so changing that alone rescales everything.
"""

train_cfg = dict(type="TrainLoop", max_epochs=300, val_interval=5)
val_cfg = dict(type="EvaluationLoop")
test_cfg = dict()

strategy = dict(
    # optim_wrapper.optimizer.lr that stands for the tiers below; another value scales them all
    reference_lr=0.004,
    # samples in a step that the tiers were written for; other batches scale the rates (equistera/training/scaling.py)
    reference_batch=16,
    scale_lr_with_batch=True,
    tier_lr=dict(head=1e-3, middle=1e-4),
    # factor from each layer to the one before it, from the head on: a block of a transformer, else a whole stage
    layer_decay=1.0,
    # share of the run at which a stage opens; a stage that is not named stays frozen for good. To open one stage after
    # the other: --cfg-options strategy.opens_at.stage3=1/3 strategy.opens_at.stage2=1/2 strategy.ramp_share=0.02
    opens_at=dict(head=0, stage4=0, stage3=0, stage2=1 / 3),
    ramp_share=1 / 6,  # of all steps: how long a stage that opens takes to come up to its LR
    # a share of all steps, at least and at most so many; or epochs=5. Never more than a fifth of the run
    warmup=dict(share=0.03, at_least=10, at_most=1000, epochs=None),
    final_ratio=0.05,  # the cosine ends at this share of the LR
    phases=[
        dict(name="head adaptation", start=0, lr_factor=1.0, augmentation="aggressive"),
        dict(name="fine-tuning", start=1 / 3, lr_factor=1.0, augmentation="balanced"),
        dict(name="full training", start=2 / 3, lr_factor=0.5, augmentation="light"),
    ],
)

optim_wrapper = dict(
    constructor="StagedOptimWrapperConstructor",
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.004, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=5.0),
    accumulative_counts=1,  # steps whose gradients make one update: a larger batch than memory holds
)
