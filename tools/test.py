"""Score checkpoints: OKS AP, PCK and pixel errors, overall and for each keypoint, and what they say in words.

Examples:
  python tools/test.py configs/rtmpose_m_ap10k.py work_dirs/rtmpose_m/best.pth
  python tools/test.py work_dirs/rtmpose_m --split val --flip-test --report
  python tools/test.py work_dirs/rtmpose_m --flip-test --scales 0.9 1 1.1

A work dir stands for its best.pth and for the run's own copy of its config, which holds the --cfg-options that it was
trained with; a config before it is only checked. Of a run that is not yours name the weights, and a config of your own:
a config is a program. Several models (a config holds for the checkpoints after it):
  python tools/test.py work_dirs/seed0 work_dirs/seed1 --compare --report
  python tools/test.py configs/rtmpose_m_ap10k.py a.pth configs/hrnet_w32_ap10k.py b.pth --compare
  python tools/test.py work_dirs/seed0 work_dirs/seed1 --ensemble --flip-test

metrics.json, per_picture.csv and predictions.json go to a folder test/ (or the split's name) beside the checkpoint, or
to --out; of several models to a folder each, in comparison_test/ beside the work dirs.
"""

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument(
        "models",
        nargs="+",
        metavar="[CONFIG] WORK_DIR|CHECKPOINT",
        help="work dirs, or a config file and the weights that were trained with it, such as work_dirs/NAME/best.pth",
    )
    parser.add_argument(
        "--split",
        choices=["train", "val", "test"],
        help="which annotations to score on (default: test, or val where there is no test.json); val also fits the "
        "calibration of the confidences anew",
    )
    parser.add_argument("--out", help="folder for the files (default: beside the checkpoint)")
    parser.add_argument("--compare", action="store_true", help="test every pair of models on the same bootstrap draws")
    parser.add_argument("--ensemble", action="store_true", help="also score the average of all models")
    parser.add_argument("--report", action="store_true", help="also write report.html: curves, worst pictures")
    parser.add_argument(
        "--body-length",
        nargs=2,
        metavar="KEYPOINT",
        help="measure PCK in the distance of two keypoints, such as withers tail_base (default: the box's longer side)",
    )
    parser.add_argument(
        "--group-by",
        default="none",
        help="draw whole groups for the intervals, as tools/split_dataset.py groups: folder, or a regular expression "
        "such as '^(horse[0-9]+)_'; for pictures of few horses or videos",
    )
    common = ("--flip-test", "--scales", "--data-root", "--skeleton", "--device", "--cfg-options", "--overwrite")
    inputs.add_common(parser, *inputs.DETECTOR, *common)
    # options may stand between a config and its checkpoint
    return vars(parser.parse_intermixed_args(argv))


def main(argv):
    options = parse_args(argv)
    device.choose(options["device"])
    # after the arguments: --help need not wait for NumPy
    from equistera.named_models import members_there

    members_there(options["models"], exported=True)
    from equistera.mm.prediction.test import TestOptions, test

    test(TestOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
