"""Turn videos into measurements: find the animals, follow them, repair and smooth their points, write tables.

Examples:
  python tools/analyze.py work_dirs/rtmpose_m trot.mp4 --out analysed
  python tools/analyze.py configs/rtmpose_m_ap10k.py work_dirs/rtmpose_m/best.pth videos/ --out analysed --det rtmdet
  python tools/analyze.py work_dirs/rtmpose_m videos/ --out analysed --animals 1 --format csv dlc-h5 --draw

Each video NAME.mp4 becomes, in the folder of --out, or below it as it lay below a folder that was named:
  NAME.csv            a row for each frame, animal and keypoint: time, x, y, calibrated confidence, what the model said
                      (x_raw, y_raw), what was changed since, and how exact the point is (spread, pixels)
  NAME.quality.html   how good it is: confident points by keypoint and over time, gaps, jitter, exchanged legs
  NAME.drawn.mp4      with --draw: the points drawn, with the video's sound
  NAME.analysis.json  written last. A call that was stopped goes on with the videos that have none.

Other formats: parquet (the same table), dlc-csv and dlc-h5 (as DeepLabCut writes them; movement, keypoint-moseq and
SimBA read them), coco (keypoint results). Legs that were exchanged for some frames are put right, gaps of up to
--max-gap seconds are filled, longer ones stay empty; nothing is smoothed across them.
"""

import argparse

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument(
        "words", nargs="+", metavar="MODEL_OR_VIDEO",
        help="the model, as for tools/test.py, then videos and folders of videos",
    )  # fmt: skip
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--animals", type=int, metavar="N", help="how many there are at most (default: as many as are found)"
    )
    parser.add_argument("--smooth", choices=["kalman", "savgol", "none"], default="kalman", help="smoother")
    parser.add_argument("--max-gap", type=float, default=0.25, metavar="S", help="longest gap to fill, seconds")
    parser.add_argument(
        "--format",
        nargs="+",
        choices=["csv", "parquet", "dlc-csv", "dlc-h5", "coco"],
        default=["csv"],
        help="tables to write",
    )
    parser.add_argument("--draw", action="store_true", help="draw a video as well")
    parser.add_argument("--conf", type=float, metavar="P", help="points of less confidence count as not found")
    parser.add_argument("--batch-size", type=int, default=16, help="frames that go through the model together")
    parser.add_argument("--amp", action=argparse.BooleanOptionalAction, help="mixed precision (default: where it pays)")
    inputs.add_common(parser, *inputs.LOOK)
    return vars(parser.parse_intermixed_args(argv))


def main(argv):
    options = parse_args(argv)
    device.choose(options["device"])
    # after the arguments: --help need not wait for NumPy
    from equistera.analyzing import AnalyzeOptions, settled

    job = settled(AnalyzeOptions(**options))
    from equistera.mm.prediction.analyze import analyze

    return analyze(job)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
