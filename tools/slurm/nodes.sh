#!/usr/bin/env bash
# One training on the GPUs of several nodes that see the same folders: torchrun starts a process for each GPU of each
# node, and they meet on the first one. Saved and queued again as in requeue.sh. In this folder, environment activated:
#   sbatch --nodes=2 tools/slurm/nodes.sh configs/rtmpose_m_5k.py --work-dir work_dirs/rtmpose_m --amp
#SBATCH --job-name=nodes
#SBATCH --output=slurm-%j.out
#SBATCH --open-mode=append
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gpus-per-node=4
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@180
set -euo pipefail
source tools/slurm/again.sh

first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# another port for each job, where several share a node
port=$((20000 + SLURM_JOB_ID % 10000))
# each node says by its number which it is: what torchrun guesses from names fails where a node has several
# shellcheck disable=SC2016
run_again_if_told bash -c 'exec python -m torch.distributed.run --node-rank="$SLURM_NODEID" "$@"' node \
  --nnodes="$SLURM_JOB_NUM_NODES" --nproc-per-node="${SLURM_GPUS_ON_NODE:-1}" \
  --master-addr="$first" --master-port="$port" tools/train.py "$@" --resume --launcher pytorch
