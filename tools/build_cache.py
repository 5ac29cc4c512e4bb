"""Make the crop cache of a training run ahead of it.

Every horse is cut out of its photo once, at the size that the config's input and augmentation can use; training then
reads the crops instead of decoding photos. tools/train.py does the same when it starts, so this is for a machine that
shall begin at once. A photo, a box or a setting that changes makes another cache, never a wrong one.

Examples:
  python tools/build_cache.py configs/rtmpose_m_ap10k.py
  python tools/build_cache.py configs/rtmpose_m_ap10k.py --cache /fast/disk/cache --data-root data/horses
  python tools/train.py configs/rtmpose_m_ap10k.py --cache /fast/disk/cache
"""

from equistera import cli, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    inputs.add_common(parser, "config", "--work-dir", "--data-root", "--skeleton", "--cfg-options")
    parser.add_argument("--cache", metavar="DIR", help="where it goes (default: crop_cache beside the work dir)")
    return vars(parser.parse_args(argv))


def main(argv):
    options = parse_args(argv)
    from equistera.mm.run.train import TrainOptions, build_cache

    build_cache(TrainOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
