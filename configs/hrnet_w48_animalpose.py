"""HRNet-W48 from AnimalPose weights, which know ears and withers; costs what hrnet_w48_ap10k.py costs.

python tools/download_checkpoints.py hrnet_w48_animalpose
python tools/train.py configs/hrnet_w48_animalpose.py --amp
"""

_base_ = "hrnet_w48_ap10k.py"

pretrained = "hrnet_w48_animalpose"
