"""Draw predicted poses on pictures.

Examples:
  python tools/visualize.py --config configs/rtmpose_m_ap10k.py --checkpoint work_dirs/rtmpose_m/best.pth \\
      --img data/images/test/sample.jpg --out-file output.jpg
  python tools/visualize.py --config configs/rtmpose_m_ap10k.py --checkpoint work_dirs/rtmpose_m/best.pth \\
      --img-dir data/images/test/ --out-dir visualizations/
"""

from equistera import cli


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("--config", required=True, help="config file of the run")
    parser.add_argument("--checkpoint", required=True, help="its weights, such as work_dirs/NAME/best.pth")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--img", help="one picture")
    what.add_argument("--img-dir", help="a folder of pictures")
    parser.add_argument("--out-file", help="where to draw --img")
    parser.add_argument("--out-dir", help="where to draw the pictures of --img-dir")
    parser.add_argument("--ann-file", help="COCO file with the animals' boxes (default: one animal a picture)")
    parser.add_argument("--skeleton", help="built-in name or .json file (default: the checkpoint's)")
    parser.add_argument("--kpt-thr", type=float, default=0.3, help="confidence below which a keypoint is dimmed")
    parser.add_argument("--flip-test", action="store_true", help="average with the mirrored picture: slower, better")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: a GPU if there is one)")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    return vars(parser.parse_args(argv))


def main(argv):
    options = parse_args(argv)
    from equistera.mm.visualize import VisualizeOptions, visualize

    return visualize(VisualizeOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
