"""RTMPose-M for thousands of labelled photos: batch 64 and 500 epochs instead of 16 and 300.

python tools/download_checkpoints.py rtmpose_m_ap10k
python tools/train.py configs/rtmpose_m_5k.py --work-dir work_dirs/rtmpose_m_5k --amp

Four times the batch has twice the learning rates (equistera/training/scaling.py). Of 5,000 photos 4,000 are to train:
62 steps an epoch, 31,000 in all, 2 million samples. 2 CPU cores do 27 a second (float32, docs/benchmarks.md): 21 hours.
What a step keeps takes four times the memory that it takes with rtmpose_m_ap10k.py.
"""

_base_ = "rtmpose_m_ap10k.py"

train_cfg = dict(max_epochs=500)
train_dataloader = dict(batch_size=64)
