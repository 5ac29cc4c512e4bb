"""Make the crop cache of a training run ahead of it.

Every horse is cut out of its photo once, at the size that the config's input and augmentation can use; training then
reads the crops instead of decoding photos. tools/train.py does the same when it starts, so this is for a machine that
shall begin at once. A photo, a box or a setting that changes makes another cache, never a wrong one.

Examples:
  python tools/build_cache.py configs/rtmpose_m_ap10k.py
  python tools/build_cache.py configs/rtmpose_m_ap10k.py --cache /fast/disk/cache --data-root data/horses
  python tools/train.py configs/rtmpose_m_ap10k.py --cache /fast/disk/cache
  python tools/build_cache.py --clear --cache /fast/disk/cache
"""

from pathlib import Path

from equistera import cli, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("config", type=inputs.config, nargs="?", help="config file")
    inputs.add_common(parser, "--work-dir", "--data-root", "--skeleton", "--cfg-options")
    parser.add_argument("--cache", metavar="DIR", help="where it goes (default: crop_cache beside the work dir)")
    parser.add_argument("--clear", action="store_true", help="remove all caches in the folder that --cache names")
    args = parser.parse_args(argv)
    if args.clear and [key for key, value in vars(args).items() if value] != ["cache", "clear"]:
        parser.error("argument --clear: it goes with --cache DIR and nothing else")
    if not args.clear and not args.config:
        parser.error("the following arguments are required: config")
    return vars(args)


def main(argv):
    options = parse_args(argv)
    if options.pop("clear"):
        from equistera.crops.build import clear

        return clear(Path(options["cache"]))
    from equistera.mm.run.train import TrainOptions, build_cache

    return build_cache(TrainOptions(**options))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
