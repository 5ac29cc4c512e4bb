# shellcheck shell=bash
# For the jobs beside it: runs a command as a step of this job. Where Slurm is about to take the node back (SIGTERM), or
# the time is nearly up (SIGUSR1, by their --signal), the command is told, which saves what it has, and the job is
# queued again, to go on from there.

run_again_if_told() {
  local step told=no code=0
  srun "$@" &
  step=$!
  trap 'told=yes; kill -TERM "$step"' TERM USR1
  while true; do
    wait "$step" && code=0 || code=$?
    # a signal ends the waiting, not the step
    kill -0 "$step" 2>/dev/null || break
  done
  trap - TERM USR1
  if [[ $told == yes ]] && ((code)); then
    scontrol requeue "$SLURM_JOB_ID" || echo "Slurm queues it again by itself" >&2
  fi
  return "$code"
}
