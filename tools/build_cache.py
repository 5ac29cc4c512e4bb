"""Make the crop cache of a training run ahead of it.

Every horse is cut out of its photo once, at the size that the config's input and augmentation can use; training then
reads the crops instead of decoding photos. tools/train.py does the same when it starts, so this is for a machine that
shall begin at once. A photo, a box or a setting that changes makes another cache, never a wrong one.

Examples:
  python tools/build_cache.py configs/rtmpose_m_ap10k.py
  python tools/build_cache.py configs/rtmpose_m_ap10k.py --cache /fast/disk/cache --data-root data/horses
  python tools/train.py configs/rtmpose_m_ap10k.py --cache /fast/disk/cache
"""

from equistera import cli


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument("--cache", metavar="DIR", help="where it goes (default: crop_cache beside the work dir)")
    parser.add_argument("--work-dir", help="of the run it is for (default: work_dirs/NAME OF CONFIG)")
    parser.add_argument("--data-root", help="folder with annotations/ and images/ (default: the config's)")
    parser.add_argument("--skeleton", help="horse26, ap10k, animalpose, horse10, or a .json file of your own")
    parser.add_argument("--cfg-options", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    return vars(parser.parse_args(argv))


def main(argv):
    options = parse_args(argv)
    from equistera.mm.run.train import TrainOptions, build_cache

    build_cache(TrainOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
