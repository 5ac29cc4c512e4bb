"""HRNet-W32 from SuperAnimal-Quadruped (Ye et al. 2024): 39 points, ears, withers, back, tail and knees among them.

python tools/download_checkpoints.py superanimal_quadruped_mmpose --accept-licence superanimal     (without: its terms)
python tools/train.py configs/hrnet_w32_superanimal.py --amp

The same network as DeepLabCut 3's snapshot: --cfg-options pretrained=superanimal_quadruped_dlc.

CPU time of one core, float32: 8640 ms a step at batch 16 in the first phase, 249 ms a crop.
"""

_base_ = "hrnet_w32_ap10k.py"

pretrained = "superanimal_quadruped_mmpose"
