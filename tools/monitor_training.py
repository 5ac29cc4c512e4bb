"""Shows what a training run has learned: a summary with advice, and its curves as a picture.

Examples:
  python tools/monitor_training.py --work-dir work_dirs/rtmpose_m
  python tools/monitor_training.py --work-dir work_dirs/rtmpose_m --watch
  python tools/monitor_training.py --compare work_dirs/rtmpose_m work_dirs/hrnet_ap10k --out curves.png

Reads the logs that MMEngine writes below a work folder, of our runs and of MMPose's own. A run that was resumed is
one curve. Judges overfitting, plateaus and divergence; what counts as such stands in equistera/monitor/advice.py.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from equistera import cli, inputs


def seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise ValueError
    return value


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    runs = parser.add_mutually_exclusive_group(required=True)
    runs.add_argument("--work-dir", type=Path, metavar="W", help="work folder of one run")
    runs.add_argument("--compare", type=Path, nargs="+", metavar="W", help="work folders of two or more runs")
    parser.add_argument(
        "--watch", type=seconds, nargs="?", const=10.0, metavar="SECONDS",
        help="follow live runs until they have finished or Ctrl-C, looking every SECONDS (10 if not given)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="F.png",
        help="the picture (default: training_curves.png in the work folder, or training_comparison.png in the first)",
    )  # fmt: skip
    inputs.add_common(parser, "--overwrite")
    args = parser.parse_args(argv)
    if args.compare and len(args.compare) < 2:
        parser.error("--compare needs two work folders or more; for one run use --work-dir")
    return args


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    # after the arguments: --help need not wait for NumPy
    from equistera.monitor.follow import monitor

    monitor(args.compare or [args.work_dir], args.out, args.watch, args.overwrite)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
