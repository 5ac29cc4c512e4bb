"""RTMPose-L whose backbone has learned human poses (AIC and COCO); OpenMMLab publishes no AP-10K weights of it.

python tools/download_checkpoints.py cspnext_l_aic_coco
python tools/train.py configs/rtmpose_l_aic_coco.py --amp

CPU time of one core, float32: 3669 ms a step at batch 16 in the first phase, 143 ms a crop (RTMPose-M: 1766, 71).
"""

_base_ = "rtmpose_m_ap10k.py"

pretrained = "cspnext_l_aic_coco"
model = dict(backbone=dict(deepen_factor=1.0, widen_factor=1.0), head=dict(in_channels=1024))
