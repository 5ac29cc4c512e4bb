"""HRNet-W32 from AnimalPose weights, whose ears and withers the AP-10K weights do not know.

python tools/download_checkpoints.py hrnet_w32_animalpose
python tools/train.py configs/hrnet_w32_animalpose.py --work-dir work_dirs/hrnet_animalpose
"""

_base_ = "hrnet_w32_ap10k.py"

pretrained = "hrnet_w32_animalpose"
