"""Which settings? Train with many, end those that promise little early, and say which knobs matter.

Examples:
  python tools/sweep.py configs/rtmpose_m_ap10k.py --space space.toml --trials 40 --out sweeps/lr --plan
  python tools/sweep.py configs/rtmpose_m_ap10k.py --space space.toml --trials 40 --out sweeps/lr --amp --max-time 30m
  sbatch --array=1-4 tools/slurm/array.sh tools/sweep.py configs/rtmpose_m_ap10k.py --space space.toml --trials 40 \
--out sweeps/lr

--space names entries of the config as --cfg-options does, a line each:
  optim_wrapper.optimizer.lr = { low = 0.001, high = 0.016, log = true }
  train_dataloader.batch_size = { low = 8, high = 64, log = true }
  train_dataloader.dataset.augmentation = { choices = ["balanced", "aggressive"] }

The study is Optuna's, in a file: the same command, started again, on this machine or on others that see the same
folder, is another worker of it. A worker that is killed loses the trial that it had; the next one to look says so and
goes on in its work dir. Each trial is a run of tools/train.py in a folder of its own, scored on the validation set. The
first one is the config as it is; after five, those whose score is below the median of the others at the same part of
the run are pruned (not in its first third; --no-prune: none are).

Writes into --out:
  sweep.html      the best settings, the importance of each knob, scores over each knob, all trials
  trials.csv      a row a trial
  study.journal   the study: optuna-dashboard reads it; trials/: their work dirs and logs
"""

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("config", type=inputs.config, help="config file that all trials are made of")
    parser.add_argument("--space", type=inputs.file, required=True, metavar="FILE", help="TOML file of the knobs")
    parser.add_argument(
        "--trials", type=cli.at_least(1), required=True, metavar="N", help="trials of all workers together; may grow"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the study; the same for all workers")
    parser.add_argument("--max-time", metavar="TIME", help="fit each trial to this time, such as 30m")
    parser.add_argument("--no-prune", dest="prune", action="store_false", help="train every trial to its end")
    inputs.add_trainings(parser)
    return vars(parser.parse_args(argv))


def main(argv):
    options = parse_args(argv)
    from equistera.experiments.study import optuna

    # before what takes seconds to import
    optuna()
    device.choose(options["device"])
    from equistera.mm.experiments.sweep import SweepOptions, sweep

    sweep(SweepOptions(**options, argv=argv))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
