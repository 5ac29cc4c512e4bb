"""How good, and how sure is that? Train with parts of the pictures left out, and score each part by who never saw it.

Examples:
  python tools/cross_validate.py configs/rtmpose_m_ap10k.py --out folds --plan
  python tools/cross_validate.py configs/rtmpose_m_ap10k.py --out folds --folds 5 --seeds 2 --amp
  sbatch --array=1-10 tools/slurm/array.sh tools/cross_validate.py configs/rtmpose_m_ap10k.py --out folds --seeds 2 \
--only TASK

The labelled pictures of the training and the validation set are dealt into --folds; groups (as split.json beside the
labels says, or --group-by) and near duplicates are never torn apart, and a test set stays aside. Each fold is scored by
models that were trained without it (--seeds of them); the next fold chooses their weights, so that no picture has a say
in its own score. Each training is a run of tools/train.py in a folder of its own. A call that was stopped goes on.

Writes into --out:
  cross_validation.html   mean, 95 % interval and spread over folds and seeds, overall and for each keypoint
  cross_validation.json   the same for programs; folds.csv: a row a training
"""

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("config", type=inputs.config, help="config file of a pose model")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the folds, their trainings and results")
    parser.add_argument("--folds", type=cli.at_least(3), default=5, metavar="K", help="parts, each scored in turn")
    parser.add_argument("--seeds", type=cli.at_least(1), default=1, metavar="N", help="trainings for each of them")
    parser.add_argument(
        "--group-by", metavar="RULE", help="pictures that belong together (default: as split.json says)"
    )
    parser.add_argument("--max-time", metavar="TIME", help="fit each training to this time, such as 1h")
    inputs.add_common(parser, "--jobs")
    parser.add_argument("--only", type=cli.at_least(1), metavar="K", help="run the K-th training of the plan, no page")
    inputs.add_trainings(parser)
    return vars(parser.parse_args(argv))


def main(argv):
    options = parse_args(argv)
    device.choose(options["device"])
    from equistera.mm.experiments.cross_validate import CrossOptions, cross_validate

    cross_validate(CrossOptions(**options, argv=argv))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
