"""Splits one COCO annotation file into training, validation and test.

    python tools/split_dataset.py --ann-file all.json --img-dir data/images --output data/annotations
    python tools/split_dataset.py --ann-file all.json --img-dir data/images --output data/annotations \\
        --split 0.8 0.2 --group-by "^(horse[0-9]+)_"

Groups are never torn apart, nor are near-duplicate pictures. The pictures of each split are linked into their own
folder beside --output (data/images/train, ...), your own files stay as they are. Pictures that an existing split.json
has placed stay in their split, so a data set can grow: run the command again with --overwrite.
"""

from __future__ import annotations

from collections.abc import Sequence

from equistera import cli
from equistera.dataset.phash import DISTANCE
from equistera.dataset.place import WAYS
from equistera.dataset.split import GROUP_BY_HELP, SplitSpec


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--ann-file", required=True, help="COCO keypoint file with all pictures")
    parser.add_argument(
        "--img-dir", help="folder of the pictures; without it near-duplicates are not looked for and nothing is linked"
    )
    parser.add_argument(
        "--out",
        "--output",
        dest="output",
        required=True,
        help="folder for train.json, val.json, test.json and split.json",
    )
    parser.add_argument(
        "--split",
        nargs="+",
        type=float,
        default=[0.7, 0.15, 0.15],
        metavar="SHARE",
        help="shares of train, val and test, or of train and val (default: 0.7 0.15 0.15)",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, another draw")
    parser.add_argument("--group-by", default="none", metavar="RULE", help=GROUP_BY_HELP)
    parser.add_argument(
        "--duplicate-distance",
        type=int,
        default=DISTANCE,
        metavar="BITS",
        help="of 64 bits of perceptual hash, how many may differ between near-duplicates",
    )
    parser.add_argument("--images", choices=WAYS, default="link", help="how to put the pictures into their folders")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an existing split")
    parser.add_argument("--redraw", action="store_true", help="with --overwrite: do not keep pictures where they were")
    args = parser.parse_args(argv)
    if args.redraw and not args.overwrite:
        parser.error("argument --redraw: it draws an existing split anew, which needs --overwrite")
    return args


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    from equistera.dataset.split_dataset import split_dataset

    spec = SplitSpec(tuple(args.split), args.seed, args.group_by, args.duplicate_distance)
    print(
        split_dataset(
            args.ann_file,
            args.img_dir,
            args.output,
            spec,
            images=args.images,
            overwrite=args.overwrite,
            redraw=args.redraw,
        )
    )


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
