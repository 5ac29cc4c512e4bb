"""Find labels that are probably wrong: models that were not trained on a picture are asked about it.

Examples:
  python tools/find_label_errors.py configs/rtmpose_m_ap10k.py --out label_errors --plan
  python tools/find_label_errors.py configs/rtmpose_m_ap10k.py --out label_errors --folds 5 --max-time 1h
  python tools/find_label_errors.py --checkpoints work_dirs/seed0 work_dirs/seed1 --out label_errors
"""

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("config", nargs="?", type=inputs.config, help="config that folds are trained with")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for folds and results")
    parser.add_argument(
        "--checkpoints", nargs="+", default=[], metavar="WORK_DIR|CHECKPOINT",
        help="ask these models instead of training folds; each about the pictures that it was not trained on",
    )  # fmt: skip
    parser.add_argument("--folds", type=cli.at_least(2), default=5, metavar="K", help="trainings, each without 1/K")
    parser.add_argument("--max-time", metavar="TIME", help="fit each fold's training to this time, such as 30m")
    parser.add_argument("--init", metavar="CHECKPOINT", help="start folds from these weights instead of the config's")
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other folds")
    parser.add_argument(
        "--group-by", metavar="RULE", help="pictures that belong together (default: as split.json says)"
    )
    parser.add_argument("--plan", action="store_true", help="say what would be trained and how long it takes, and stop")
    inputs.add_common(parser, "--data-root", "--skeleton", "--device", "--cfg-options", "--overwrite")
    return vars(parser.parse_intermixed_args(argv))


def main(argv):
    options = parse_args(argv)
    device.choose(options["device"])
    from equistera.mm.labelling.label_errors import ErrorOptions, find_label_errors

    find_label_errors(ErrorOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
