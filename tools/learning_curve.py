"""How many pictures? Train on growing parts of the training set and say what more pictures would give.

Examples:
  python tools/learning_curve.py configs/rtmpose_m_ap10k.py --work-dir work_dirs/curve --plan
  python tools/learning_curve.py configs/rtmpose_m_ap10k.py --work-dir work_dirs/curve --amp
  python tools/learning_curve.py configs/rtmpose_m_ap10k.py --work-dir work_dirs/curve --amp --sizes 800 --fit-up-to 400

Each of --sizes is trained --seeds times, by tools/train.py in a folder of its own; the smaller sets lie within the
larger ones, and whole groups enter together. All get the same number of optimiser steps, those of the config's epochs
at the largest size, so that only the pictures differ (--steps N for another number, --max-time 1h for a time each,
--same-epochs for the config's epochs, which calls a want of training a want of pictures).

A call that was stopped goes on where it was; sizes that are named later are added to those that are there, and with
--fit-up-to stand beside what the smaller ones had predicted. --plan says what it costs, and how a cluster does it:
each training is a job of a Slurm array (--only), and a last call draws the curve.

Writes into --work-dir:
  curve.html   AP, PCK@0.1, mean error, parts of the body and keypoints over pictures, each with a 95 % interval
  curve.json   the same for programs
  points.csv   a row a training
"""

from equistera import cli, device, inputs


def size(text):
    """A type of options: a number of pictures, or all of them."""
    return text if text == "all" else cli.at_least(1)(text)


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("config", type=inputs.config, help="config file of a pose model")
    parser.add_argument(
        "--work-dir", type=inputs.work_dir, metavar="DIR", required=True, help="folder of the trainings and the curve"
    )
    parser.add_argument(
        "--sizes",
        type=size,
        nargs="+",
        default=[100, 200, 400],
        metavar="N",
        help="pictures, or all (default: 100 200 400)",
    )
    parser.add_argument("--seeds", type=cli.at_least(1), default=3, metavar="N", help="trainings of each size")
    parser.add_argument(
        "--predict", type=cli.at_least(1), nargs="+", default=[1600, 5000], metavar="N",
        help="pictures that are asked about (default: 1600 5000)",
    )  # fmt: skip
    parser.add_argument("--fit-up-to", type=cli.at_least(1), metavar="N", help="check the curve by the larger sizes")
    parser.add_argument("--split", choices=["val", "test"], help="what is scored (default: test, or val without one)")
    parser.add_argument(
        "--group-by",
        help="pictures that enter together: folder, none, or a regular expression, as for tools/split_dataset.py "
        "(default: as the split was drawn)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=cli.at_least(1), metavar="N", help="optimiser steps of each training")
    length.add_argument("--same-epochs", action="store_true", help="the config's epochs for each size instead")
    length.add_argument("--max-time", metavar="TIME", help="fit each training to this time, such as 1h")
    parser.add_argument(
        "--minutes-per-picture", type=cli.positive, default=4, metavar="M", help="that a person labels a picture in"
    )
    parser.add_argument(
        "--flat-gain", type=cli.positive, default=0.005, metavar="G",
        help="the curve is flat where the next 100 pictures give less than this",
    )  # fmt: skip
    inputs.add_common(parser, "--jobs")
    parser.add_argument("--only", type=cli.at_least(1), metavar="K", help="run the K-th training of the plan, no curve")
    inputs.add_trainings(parser)
    return vars(parser.parse_args(argv))


def main(argv):
    options = parse_args(argv)
    device.choose(options["device"])
    from equistera.mm.labelling.learning_curve import CurveOptions, learning_curve

    learning_curve(CurveOptions(**options, argv=argv))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
