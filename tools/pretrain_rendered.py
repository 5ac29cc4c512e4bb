"""Make a start for real horses on your own machine, in a night: a network that learnt rendered ones.

Examples:
  python tools/download_checkpoints.py efficientnet_lite0
  python tools/pretrain_rendered.py --plan
  python tools/pretrain_rendered.py --backdrops photos
  python tools/pretrain_rendered.py --config configs/demo_rtmpose_t.py --work-dir work_dirs/small --max-time 1h
  python tools/pretrain_rendered.py --work-dir work_dirs/small --resume
  python tools/train.py configs/lite0_imagenet.py --init work_dirs/lite0_imagenet_rendered/best.pth

Renders horses (as tools/make_demo_data.py does), trains on them (as tools/train.py does) and leaves best.pth, for
--init or as a config's pretrained (configs/rtmpose_m_rendered.py). Nothing is fetched and nobody labels anything. What
such a start is worth on real photos, and when it is worth nothing: docs/benchmarks.md, "Rendered horses and real ones".

--work-dir holds the pictures (horses/), the run, and what a call that was stopped goes on with (--resume).
"""

import time

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--config", type=inputs.config, default="configs/lite0_imagenet.py", help="config file of a pose model"
    )
    parser.add_argument(
        "--work-dir",
        type=inputs.work_dir,
        metavar="DIR",
        help="where all of it goes (default: work_dirs/CONFIG_rendered)",
    )
    inputs.add_common(parser, "--skeleton", "--device", "--cfg-options")
    parser.add_argument("--max-time", metavar="TIME", help="for all of it, rendering included (default: 8h)")
    text = "pictures to train on (default: what a tenth of the time renders, 200 to 5000)"
    parser.add_argument("--pictures", type=cli.at_least(1), metavar="N", help=text)
    text = "photos of yours, without labels, that the horses stand before (default: drawn places)"
    parser.add_argument("--backdrops", metavar="DIR", help=text)
    parser.add_argument("--seed", type=cli.at_least(0), default=0, help="of the pictures and the training")
    inputs.add_common(parser, "--amp")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--from-scratch", action="store_true", help="begin with random weights, not with the config's")
    start.add_argument("--init", type=inputs.checkpoint, metavar="CHECKPOINT", help="begin with these weights")
    parser.add_argument("--plan", action="store_true", help="say what would be rendered and trained, and stop")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the pre-training in --work-dir, as it was begun"
    )
    args = parser.parse_args(argv)
    if args.resume:
        for name in sorted(parser.given(argv) - {"resume", "work_dir", "config", "device"}):
            option = name.replace("_", "-")
            parser.error(f"argument --{option}: a pre-training that goes on keeps what it was begun with")
    return vars(args)


def main(argv):
    started = time.monotonic()
    options = parse_args(argv)
    device.choose(options["device"])
    from equistera.mm.run.pretraining import PretrainOptions, pretrain

    pretrain(PretrainOptions(**options, started=started))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
