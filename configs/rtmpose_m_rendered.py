"""RTMPose-M from weights that this machine made of rendered horses: no pretrained file of anybody else's.

python tools/pretrain_rendered.py --config configs/rtmpose_m_ap10k.py --from-scratch
python tools/train.py configs/rtmpose_m_rendered.py --work-dir work_dirs/rtmpose_m --amp

Without --from-scratch the first begins with AP-10K's weights, as configs/rtmpose_m_ap10k.py does; the second then knows
both. A step costs what it costs there.
"""

_base_ = "rtmpose_m_ap10k.py"

pretrained = "work_dirs/rtmpose_m_ap10k_rendered/best.pth"
