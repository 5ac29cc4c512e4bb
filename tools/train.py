"""Train a pose model.

Examples:
  python tools/train.py configs/rtmpose_m_ap10k.py --work-dir work_dirs/rtmpose_m --amp
  python tools/train.py configs/rtmpose_m_ap10k.py --plan
  python tools/train.py configs/rtmpose_m_ap10k.py --work-dir work_dirs/rtmpose_m --max-time 2h
  python tools/train.py configs/rtmpose_m_ap10k.py --also data/ap10k=0.5 rendered   more data sets, their points masked
  python tools/train.py configs/rtmpose_m_ap10k.py --unlabelled photos --teacher work_dirs/hrnet_ap10k --det rtmdet
  python tools/train.py --work-dir work_dirs/rtmpose_m --resume
  python tools/train.py configs/hrnet_w32_ap10k.py --from-scratch --cfg-options train_dataloader.batch_size=8
  python tools/train.py configs/hrnet_w32_ap10k.py --from-scratch --max-time 10m --recommend
  python tools/train.py configs/rtmpose_m_ap10k.py --processes 2
  python -m torch.distributed.launch --nproc_per_node=2 tools/train.py configs/rtmpose_m_ap10k.py --launcher pytorch
"""

import gc
import os
import sys
import time

from equistera import cli, device, inputs, processes
from equistera.errors import UserError

#: What says how unlabelled pictures are looked at.
LOOKS = ["teacher", "sure", *(name.lstrip("-").replace("-", "_") for name in inputs.DETECTOR)]


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument(
        "config", nargs="?", type=inputs.config, help="config file (with --resume --work-dir DIR: the run's own)"
    )
    inputs.add_common(parser, "--work-dir", "--data-root", "--skeleton", "--device", "--cfg-options", "--amp")
    parser.add_argument("--compile", action="store_true", help="torch.compile: slow to start, faster steps")
    parser.add_argument("--resume", action="store_true", help="continue the run in the work dir, as it was begun")
    start = parser.add_mutually_exclusive_group()
    parser.add_argument(
        "--allow-changed-data", action="store_true", help="with --resume: go on although data or settings changed"
    )
    start.add_argument("--from-scratch", action="store_true", help="start from random weights; nothing is frozen")
    start.add_argument("--init", metavar="CHECKPOINT", help="start from these weights instead of the config's")
    parser.add_argument("--max-time", metavar="TIME", help="fit the run to this time, such as 2h, 90m or 1h30m")
    text = "with --max-time and random weights: choose input, decoding, batch and augmentation as measured; said"
    parser.add_argument("--recommend", action="store_true", help=text)
    parser.add_argument("--plan", action="store_true", help="say what the run would do, and stop")
    parser.add_argument("--json", metavar="FILE", help="write the plan for machines")
    parser.add_argument("--overwrite", action="store_true", help="let --json replace a file; no run is ever replaced")
    parser.add_argument("--cache", metavar="auto|off|DIR", help="crops of the photos: beside the work dir, none, there")
    text = "train on these as well, in the points that are ours too: so many samples for each of yours (default 1)"
    parser.add_argument("--also", nargs="+", metavar="DIR[:SKELETON][=WEIGHT]", default=[], help=text)
    more = parser.add_argument_group(
        "unlabelled pictures", "what a trained model is sure of in them is trained on as well, and lies in the work dir"
    )
    text = "pictures and films without labels: so many samples for each of yours (default 1)"
    more.add_argument("--unlabelled", metavar="DIR[=WEIGHT]", help=text)
    text = "what labels them: a work dir, or CONFIG CHECKPOINT [CHECKPOINT ...]; several must agree"
    more.add_argument("--teacher", nargs="+", metavar="MODEL", default=[], help=text)
    text = "confidence from which a point is taught (default: 0.8 where all teachers are calibrated, else 0.3)"
    more.add_argument("--sure", type=float, metavar="P", help=text)
    inputs.add_common(more, *inputs.DETECTOR)
    parser.add_argument("--seed", type=int, help="seed of everything random (default: the config's)")
    parser.add_argument(
        "--processes", type=cli.at_least(1), default=1, help="train in so many, one on each GPU; no launcher is needed"
    )
    text = (
        "what started this process; with pytorch, an error is followed by a traceback of torch's: --processes has none"
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none", help=text)
    # torch.distributed.launch passes one spelling, older versions the other
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help="set by the launcher")
    args = parser.parse_args(argv)
    if args.unlabelled is None and (alone := [n for n in LOOKS if getattr(args, n) not in (None, [])]):
        parser.error(f"argument --{alone[0].replace('_', '-')}: it is for --unlabelled DIR, which is not given")
    return vars(args)


def main(argv):
    started = time.monotonic()
    options = parse_args(argv)
    os.environ.setdefault("LOCAL_RANK", str(options.pop("local_rank")))
    recommend, count = options.pop("recommend"), options.pop("processes")
    if recommend and (count > 1 or options["launcher"] != "none"):
        raise UserError("--recommend measures in one process: run it with --plan, and give its --cfg-options to all")
    if count > 1:
        if processes.OWN not in os.environ:
            return processes.start(count, options["launcher"], sys.argv)
        options["launcher"] = "pytorch"
    # after the arguments: what is missing need not wait for NumPy
    also, asked = options.pop("also"), {name: options.pop(name) for name in ("unlabelled", *LOOKS)}
    from equistera.training.options import TrainOptions, with_record

    given, sources = options.pop("cfg_options"), []
    if asked["unlabelled"] is not None:
        run = with_record(TrainOptions(**options, cfg_options=given, started=started))
        device.choose(run.device)
        from equistera.labelling.unlabelled import UnlabelledOptions
        from equistera.mm.labelling.unlabelled import labelled

        alone = count == 1 and options["launcher"] == "none"
        sources = [labelled(run, UnlabelledOptions(**asked, device=run.device), alone)]
    if also or sources:
        from equistera.dataset.mixed import also_option

        given = [*given, also_option(also, sources)]
    options = with_record(TrainOptions(**options, cfg_options=given, started=started))
    device.choose(options.device)
    from equistera.mm.run.train import train

    # garbage is looked for at each data set and within steps: not among a million objects of imported modules
    gc.freeze()
    if recommend:
        from equistera.mm.run.recommending import recommended

        options = recommended(options)
    train(options)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
