"""HRNet-W32 from AP-10K weights whose points lie between the cells of the heatmap (UDP), not on them.

python tools/download_checkpoints.py hrnet_w32_ap10k
python tools/train.py configs/hrnet_w32_udp.py --work-dir work_dirs/hrnet_udp

A training step and a prediction cost what those of configs/hrnet_w32_ap10k.py do, but for 1 ms of decoding a crop. Any
heatmap network has the same with --cfg-options codec.type=UDPHeatmap, or DARK with codec.unbiased=True: what each is,
and by how much points are off that only the codec is to blame for, stands in docs/decoding.md.
"""

_base_ = "hrnet_w32_ap10k.py"

codec = dict(_base_.codec, type="UDPHeatmap")
model = dict(codec=codec)
train_dataloader = dict(dataset=dict(codec=codec))
val_dataloader = dict(dataset=dict(codec=codec))
test_dataloader = dict(dataset=dict(codec=codec))
