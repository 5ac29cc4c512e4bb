"""Score a checkpoint: OKS AP, PCK and pixel errors, overall and for each keypoint.

Examples:
  python tools/test.py configs/rtmpose_m_ap10k.py work_dirs/rtmpose_m/best.pth
  python tools/test.py configs/rtmpose_m_ap10k.py work_dirs/rtmpose_m/best.pth --split val --flip-test --report
"""

from equistera import cli


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("config", help="config file of the run")
    parser.add_argument("checkpoint", help="its weights, such as work_dirs/NAME/best.pth")
    parser.add_argument("--data-root", help="folder with annotations/ and images/ (default: the config's)")
    parser.add_argument("--skeleton", help="built-in name or .json file (default: the checkpoint's)")
    parser.add_argument("--split", choices=["val", "test"], default="test", help="which annotations to score on")
    parser.add_argument("--out", help="folder for metrics.json and predictions.json (default: beside the checkpoint)")
    parser.add_argument("--report", action="store_true", help="also write report.html: curves, worst pictures")
    parser.add_argument("--flip-test", action="store_true", help="average with the mirrored picture: slower, better")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    return vars(parser.parse_args(argv))


def main(argv):
    options = parse_args(argv)
    from equistera.mm.test import TestOptions, test

    test(TestOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
