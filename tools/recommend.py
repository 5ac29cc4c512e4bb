"""Which run suits these labels, this machine and the time there is? Each choice with its reason, and the commands.

Examples:
  python tools/recommend.py --data-root data/ponies
  python tools/recommend.py --data-root data/ponies --time 8h
  python tools/recommend.py --data-root data/ponies --time 30m --skeleton ponies.json --device cpu --json advice.json

A few steps of each network in question are measured here, with your pictures; nothing is trained. Where a rule rests on
a measurement of ours, docs/benchmarks.md has it. For a run from random weights: tools/train.py --recommend.
"""

import time

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    inputs.add_common(parser, "--data-root")
    parser.add_argument(
        "--time", metavar="TIME", help="that the training may take, such as 8h (default: what it needs)"
    )
    inputs.add_common(parser, "--skeleton", "--device", "--cfg-options")
    parser.add_argument("--json", metavar="FILE", help="write the advice for machines")
    parser.add_argument("--overwrite", action="store_true", help="let --json replace a file")
    return parser.parse_args(argv)


def main(argv):
    started = time.monotonic()
    args = parse_args(argv)
    device.choose(args.device)
    from equistera.mm.run.choosing import recommended_run
    from equistera.training.options import TrainOptions

    given = {
        name: getattr(args, name) for name in ("data_root", "skeleton", "device", "cfg_options", "json", "overwrite")
    }
    recommended_run(TrainOptions(**given, max_time=args.time, started=started))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
