"""RTMPose-S whose backbone has learned human poses (AIC and COCO); OpenMMLab publishes no AP-10K weights of it.

python tools/download_checkpoints.py cspnext_s_aic_coco
python tools/train.py configs/rtmpose_s_aic_coco.py --amp

CPU time of one core, float32: 745 ms a step at batch 16 in the first phase, 30 ms a crop (RTMPose-M: 1766, 71).
"""

_base_ = "rtmpose_m_ap10k.py"

pretrained = "cspnext_s_aic_coco"
model = dict(backbone=dict(deepen_factor=0.33, widen_factor=0.5), head=dict(in_channels=512))
