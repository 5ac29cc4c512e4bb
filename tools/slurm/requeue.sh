#!/usr/bin/env bash
# One training that may be interrupted: at the end of its time, or when its node is taken back, it is saved and queued
# again, and goes on. In this folder, environment activated:
#   sbatch tools/slurm/requeue.sh configs/rtmpose_m_ap10k.py --work-dir work_dirs/rtmpose_m --amp
#SBATCH --job-name=pose
#SBATCH --output=slurm-%j.out
#SBATCH --open-mode=append
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus=1
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@180
set -euo pipefail
source tools/slurm/again.sh

run_again_if_told python tools/train.py "$@" --resume
