#!/usr/bin/env bash
# Many trainings, each a job of an array: those that --only tells apart, or workers of one sweep. The word TASK becomes
# the job's number in the array. In this folder, environment activated:
#   sbatch --array=1-9 tools/slurm/array.sh tools/learning_curve.py CONFIG --work-dir work_dirs/curve --only TASK
#   sbatch --array=1-10 tools/slurm/array.sh tools/cross_validate.py CONFIG --out folds --seeds 2 --only TASK
#   sbatch --array=1-4 tools/slurm/array.sh tools/sweep.py CONFIG --space space.toml --trials 40 --out sweeps/lr
#SBATCH --job-name=many
#SBATCH --output=slurm-%A_%a.out
#SBATCH --open-mode=append
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus=1
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@180
set -euo pipefail
source tools/slurm/again.sh

words=()
for word in "$@"; do
  [[ $word != TASK ]] || word=$SLURM_ARRAY_TASK_ID
  words+=("$word")
done
run_again_if_told python "${words[@]}"
