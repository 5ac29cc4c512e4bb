"""A learning curve of up to 400 pictures, what it says of 1,600 before that is trained, and what then came.

Examples:
  python benchmarks/learning_curve_truth.py --out work_dirs/curve_truth --amp
  python benchmarks/learning_curve_truth.py --out work_dirs/curve_truth --amp --init work_dirs/other/best.pth
  python benchmarks/learning_curve_truth.py --out /tmp/curve --data-root data/demo --short

Draws the curve by ``tools/learning_curve.py``, keeps what it said as predicted.json, trains the larger size and sets
both side by side: AP, PCK@0.1, mean error, and PCK@0.1 of the parts of the body and of each keypoint. The pictures are
rendered to OUT/data first unless --data-root names others. A call that was stopped goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from bench_folder import TINY

from equistera import cli
from equistera.errors import UserError
from equistera.files import read_json, write_json

#: Sizes that the curve is laid through, and the one that it is asked about.
SIZES, ASKED = (100, 200, 400), 1600
#: A network of a few thousand weights and a few steps, to see that all of this runs.
SHORT_SIZES, SHORT_ASKED = (4, 8), 12
SHORT = [
    *TINY,
    "train_dataloader.batch_size=4",
    "train_cfg.max_epochs=3",
    "train_cfg.val_interval=3",
]


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the trainings and what came of them")
    parser.add_argument("--config", default="configs/demo_rtmpose_t.py", help="config of a pose model")
    parser.add_argument("--init", type=Path, help="weights that every training starts from (default: the config's)")
    parser.add_argument("--data-root", type=Path, help="pictures to train on (default: OUT/data, rendered)")
    parser.add_argument("--steps", type=cli.at_least(1), default=2700, help="optimiser steps of each training")
    parser.add_argument("--seeds", type=cli.at_least(1), default=3, help="trainings of each size")
    parser.add_argument("--jobs", type=cli.at_least(1), default=1, help="trainings at a time")
    parser.add_argument("--amp", action="store_true", help="mixed precision")
    parser.add_argument("--short", action="store_true", help="a tiny network and a dozen pictures: does it run?")
    return parser.parse_args(argv)


def rendered(folder: Path) -> Path:
    """Pictures of synthetic horses; those that are there already stay."""
    from equistera.synthetic.writer import write_dataset

    if not (folder / "annotations" / "train.json").is_file():
        write_dataset(folder, {"train": ASKED, "val": 100, "test": 200}, size=(640, 480))
    return folder


def main(argv: Sequence[str], start=None) -> None:
    args = parse_args(argv)
    from equistera.labelling.curve_results import check_lines
    from equistera.mm.labelling.learning_curve import CurveOptions, learning_curve

    sizes, asked = (SHORT_SIZES, SHORT_ASKED) if args.short else (SIZES, ASKED)
    curve = {
        "config": args.config,
        "work_dir": str(args.out / "curve"),
        "data_root": str(args.data_root or rendered(args.out / "data")),
        "cfg_options": SHORT if args.short else [],
        "init": args.init and str(args.init.resolve()),
        "amp": args.amp,
        "predict": (asked, 5000),
        "steps": 6 if args.short else args.steps,
        "seeds": 1 if args.short else args.seeds,
        "jobs": args.jobs,
    }
    predicted, said = args.out / "predicted.json", args.out / "curve" / "curve.json"
    if not predicted.exists():
        if (args.out / "curve" / "runs" / f"n{asked:05d}-seed0").exists():
            raise UserError(f"{args.out} has trained {asked} pictures already, so nothing can be said before it")
        learning_curve(CurveOptions(**curve, sizes=sizes), start)
        shutil.copyfile(said, predicted)
    learning_curve(CurveOptions(**curve, sizes=(*sizes, asked), fit_up_to=sizes[-1]), start)
    before, after = read_json(predicted), read_json(said)
    parts = {"score": "scores", "group": "groups", "keypoint": "keypoints"}
    for check in after["checks"]:
        told = before[parts[check["kind"]]][check["measure"]]["predictions"][str(asked)]
        if [told["value"], told["interval"]] != [check["predicted"], check["interval"]]:
            raise UserError(f"what was said of {check['measure']} before is not what is said of it now")
    write_json(args.out / "results.json", after["checks"], indent=1)
    print("\n".join(["", *check_lines(after["checks"])]))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
