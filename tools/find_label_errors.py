"""Find labels that are probably wrong: models that were not trained on a picture are asked about it.

Examples:
  python tools/find_label_errors.py configs/rtmpose_m_ap10k.py --out label_errors --plan
  python tools/find_label_errors.py configs/rtmpose_m_ap10k.py --out label_errors --folds 5 --max-time 1h
  python tools/find_label_errors.py --checkpoints work_dirs/seed0 work_dirs/seed1 --out label_errors
  python tools/find_label_errors.py configs/rtmpose_m_ap10k.py --out label_errors --to labelstudio --det rtmdet

A model learns the mistakes of the labels that it is trained on. So folds are trained, each by tools/train.py without a
part of the pictures, and asked about that part (pictures of one group, as split.json beside the labels says, and near
duplicates are never torn apart); or --checkpoints are, about what they were not trained on. All labelled pictures of
the data root count. A call that was stopped goes on; folds are kept in --out, and are refused for labels that changed.

Suspects of all kinds stand in one order, by the probability that they are wrong: points in the wrong place or on
another animal, left and right of a limb or of a whole animal exchanged, boxes that cut, hidden taken for visible, and
with --det animals that nobody labelled. How far labels usually are from what is expected is learnt from the labels
themselves, so a few wrong ones in a hundred are found, and what is wrong throughout is not.

  suspects.html   to go through: each animal as labelled, as the models see it, and what speaks against it
  suspects.csv    all of them; suspects.json: the same for programs
  to_correct_*    with --to: just their pictures, for Label Studio or CVAT, or as COCO. What was corrected there comes
                  back by tools/convert_dataset.py --update, which records each change.
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
    parser.add_argument("--folds", type=cli.at_least(2), metavar="K", help="trainings, each without 1/K (default: 5)")
    parser.add_argument("--max-time", metavar="TIME", help="fit each fold's training to this time, such as 30m")
    parser.add_argument("--init", metavar="CHECKPOINT", help="start folds from these weights instead of the config's")
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument("--seed", type=int, help="another seed draws other folds (default: 0)")
    parser.add_argument(
        "--group-by", metavar="RULE", help="pictures that belong together (default: as split.json says)"
    )
    parser.add_argument("--to", choices=["labelstudio", "cvat", "coco"], help="also write just their pictures for it")
    parser.add_argument("--at-least", type=float, metavar="P", help="with --to: suspects from here on (default: 0.2)")
    parser.add_argument("--url-prefix", help="labelstudio: what stands before a picture's name (its default: see --to)")
    parser.add_argument("--plan", action="store_true", help="say what would be trained and how long it takes, and stop")
    inputs.add_common(parser, *inputs.DETECTOR, "--data-root", "--skeleton", "--device", "--cfg-options", "--overwrite")
    return vars(parser.parse_intermixed_args(argv))


def main(argv):
    options = parse_args(argv)
    if options["checkpoints"]:
        from equistera.named_models import members_there

        words = [*filter(None, [options["config"]]), *options["checkpoints"]]
        members_there(words, "CONFIG --checkpoints {path}")
    device.choose(options["device"])
    from equistera.mm.labelling.label_errors import ErrorOptions, find_label_errors

    find_label_errors(ErrorOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
