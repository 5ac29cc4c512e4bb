"""Measure how fast data, training and inference are, beside stock MMPose, in turn, on photos made for it.

Examples:
  python tools/benchmark.py pipeline --json pipeline.json
  python tools/benchmark.py step --config configs/rtmpose_m_ap10k.py
  python tools/benchmark.py train --phases 1 --batch-size 64 --amp --device cuda
  python tools/benchmark.py data --workers 0 1 2
  python tools/benchmark.py infer

pipeline  a training sample on one core, decoding to packing, and the targets alone
step      the bare training step of each phase
train     the whole training loop as a share of the bare step, and beside stock's loop
data      what the loaders deliver, with nobody to train
infer     pictures a second of prediction, and what evaluation costs over bare forwards

Rates are medians over rounds, with the lowest and the highest. Read the ratios: machines differ and drift.
"""

import sys
from pathlib import Path

from equistera import cli, device, inputs


def size(text):
    width, x, height = text.partition("x")
    if not (x and width.isdigit() and height.isdigit()):
        raise ValueError(text)
    return int(width), int(height)


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("what", choices=["pipeline", "step", "train", "data", "infer"], help="what to measure")
    parser.add_argument(
        "--config", nargs="+", type=inputs.config, help="config files (default: RTMPose-M and HRNet-W32)"
    )
    parser.add_argument("--against", choices=["stock", "nothing"], default="stock", help="what to measure ours beside")
    parser.add_argument("--json", metavar="FILE", help="write the figures for machines")
    parser.add_argument("--rounds", type=int, help="how often each is measured")
    parser.add_argument("--seconds", type=float, help="least time of one measurement (not train)")
    parser.add_argument("--batch-size", type=int, help="default: the config's (not pipeline)")
    parser.add_argument("--steps", type=int, help="training steps of one measurement (train)")
    parser.add_argument("--phases", type=int, nargs="+", help="phases of the training strategy (step, train)")
    parser.add_argument("--workers", type=int, nargs="+", help="numbers of loader workers (data; one: train, infer)")
    parser.add_argument("--sizes", type=size, nargs="+", metavar="WxH", help="sizes of photos (one: step, train)")
    parser.add_argument("--pictures", type=int, help="photos of each size")
    parser.add_argument("--cache", choices=["auto", "off"], help="whether ours has its crop cache (default: auto)")
    parser.add_argument("--amp", action="store_true", help="mixed precision (step, train, infer)")
    parser.add_argument("--compile", action="store_true", help="ours with torch.compile (step, train)")
    parser.add_argument("--threads", type=int, help="threads of torch on a CPU (default: all cores; not pipeline)")
    parser.add_argument("--folder", help="where photos are kept (default: the system's temporary folder)")
    inputs.add_common(parser, "--device", "--cfg-options", "--overwrite")
    return {key: value for key, value in vars(parser.parse_args(argv)).items() if value is not None}


def main(argv):
    given = parse_args(argv)
    device.choose(given.get("device"))
    sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
    from speed.command import benchmark

    benchmark(given.pop("what"), given.pop("json", None), given, given.pop("overwrite"))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
