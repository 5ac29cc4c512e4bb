"""Makes a data set of synthetic horses with all keypoints: for a machine without data, tests and pre-training.

    python tools/make_demo_data.py --out data/demo --train 240 --val 48 --test 48 --seed 0
    python tools/make_demo_data.py --out data/demo_ap10k --skeleton ap10k       the same pictures, AP-10K's points
    python tools/make_demo_data.py --out data/big --train 5000 --size 640x480   one size for all
    python tools/make_demo_data.py --sheet horses.jpg                           a contact sheet only

Writes OUT/annotations/{train,val,test}.json (COCO keypoints) and OUT/images/{train,val,test}/. The same seed gives the
same bytes, with any number of workers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from equistera import cli, skeleton
from equistera.synthetic.writer import write_dataset
from equistera.words import counted


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--out", help="folder to make the data set in; must be empty or not exist")
    parser.add_argument("--train", type=int, default=240, metavar="N", help="pictures to train on")
    parser.add_argument("--val", type=int, default=48, metavar="N", help="pictures to validate on")
    parser.add_argument("--test", type=int, default=48, metavar="N", help="pictures to test on")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other pictures")
    parser.add_argument("--skeleton", default=skeleton.DEFAULT, help="points to label: a built-in skeleton or a file")
    parser.add_argument("--size", type=_size, metavar="WxH", help="size of all pictures (default: 640x480 to 1280x960)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each processor)")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the demo data set in OUT, where others stay, or the sheet",
    )
    parser.add_argument("--sheet", metavar="FILE", help="write a contact sheet with drawn keypoints (.jpg)")
    args = parser.parse_args(argv)
    if not args.out and not args.sheet:
        parser.error("give --out, --sheet or both")
    if args.sheet and not args.sheet.lower().endswith((".jpg", ".jpeg")):
        parser.error(f"argument --sheet: expected a name that ends in .jpg, found {args.sheet!r}")
    return args


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 640x480, found {text!r}")
    return int(width), int(height)


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    if args.sheet:
        from equistera.outputs import check_targets
        from equistera.synthetic.sheet import TOOL, write_sheet

        check_targets("--sheet", [args.sheet], overwrite=args.overwrite, tool=TOOL)
    if args.out:
        counts = {"train": args.train, "val": args.val, "test": args.test}
        out = write_dataset(
            args.out,
            counts,
            seed=args.seed,
            skeleton_name=args.skeleton,
            size=args.size,
            workers=args.workers,
            overwrite=args.overwrite,
        )
        print(f"{counted(sum(counts.values()), 'pictures')} of synthetic horses in {out}")
    if args.sheet:
        print(f"contact sheet: {write_sheet(args.sheet, args.seed, args.skeleton)}")


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
