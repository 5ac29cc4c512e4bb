"""Converts exports of labelling tools to the COCO keypoint files that training reads.

    python tools/convert_dataset.py --input data/raw --output data/annotations
    python tools/convert_dataset.py --input export.json --img-dir photos --output data/annotations \\
        --split 0.8 0.2 --group-by "^(horse[0-9]+)_" --keypoint-map names.json
    python tools/convert_dataset.py --input corrected.json --output data/annotations --update

Reads Label Studio (JSON and JSON-MIN), CVAT for images 1.1, COCO keypoints, CollectedData (.csv, .h5) of DeepLabCut
and Lightning Pose, Ultralytics YOLO pose (data YAML), and the public AP-10K, AnimalPose and Horse-10 files, reduced to
the horses and to the points that are exactly the skeleton's. --input is a file or a folder with several. Your own files
are only read; pictures are linked into data/images/train, val and test. Whatever is left out is listed with the reason.

--update merges corrected labels of some of the pictures into the data set that is there: splits stay, whatever was
not corrected stays to the byte, and a dated folder in updates/ beside the files keeps them as they were, with a table
of all changes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from equistera import cli, skeleton

#: Kept here in words: importing the formats would make --help slow.
FORMATS = ("auto", "labelstudio", "coco", "animalpose", "cvat", "deeplabcut", "yolo")


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--input", required=True, type=Path, help="annotation file, or a folder with some")
    parser.add_argument(
        "--out", "--output", dest="output", required=True, type=Path, help="folder for train.json, val.json, test.json"
    )
    parser.add_argument("--format", choices=FORMATS, default="auto", help="format of the input; auto finds it out")
    parser.add_argument("--img-dir", type=Path, help="folder of the pictures (default: the input's folder)")
    parser.add_argument("--skeleton", default=skeleton.DEFAULT, help="skeleton to convert to: a name or a .json file")
    parser.add_argument(
        "--keypoint-map",
        type=Path,
        metavar="FILE",
        help='JSON of other names for keypoints: {"left_eye": "l_eye", "Poll": null}; null leaves a point out',
    )
    parser.add_argument(
        "--category", nargs="+", default=[], metavar="NAME", help="categories that are horses, if none is called horse"
    )
    parser.add_argument(
        "--split",
        nargs="+",
        metavar="SHARE",
        help="shares of train, val and test, or of train and val (default: 0.7 0.15 0.15); "
        "'none' writes all.json, to be split later by tools/split_dataset.py",
    )
    parser.add_argument("--seed", type=int, help="another seed, another draw of the splits (default: 0)")
    parser.add_argument(
        "--group-by",
        metavar="RULE",
        help="which pictures must not be torn apart by the split: 'folder', 'none', or a regular expression searched "
        "in the file name, whose first (...) or whole match names the group (default: none)",
    )
    parser.add_argument(
        "--images", choices=("link", "copy", "none"), default="link", help="how to put the pictures into their folders"
    )
    parser.add_argument(
        "--exif",
        choices=("applied", "ignored"),
        default="",
        help="whether the labelling tool turned photos by their EXIF orientation, where the files do not show it",
    )
    strict = (
        "fail, and write nothing, if anything has to be skipped or can hardly be meant (points repeated in pictures)"
    )
    parser.add_argument("--strict", action="store_true", help=strict)
    parser.add_argument("--overwrite", action="store_true", help="replace output that exists")
    parser.add_argument("--redraw", action="store_true", help="with --overwrite: draw an existing split anew")
    parser.add_argument(
        "--update",
        nargs="?",
        const="points",
        choices=("points", "all"),
        help="merge corrections into the files of --output: of points, visibility and boxes of the animals in them; "
        "'all' also adds animals and pictures that are new and takes out animals that are gone from their pictures",
    )
    args = parser.parse_args(argv)
    if args.update:
        given = {
            "--split": args.split, "--seed": args.seed, "--group-by": args.group_by, "--redraw": args.redraw or None,
            "--overwrite": args.overwrite or None,
        }  # fmt: skip
        if ignored := [option for option, value in given.items() if value is not None]:
            parser.error(
                f"--update keeps the splits, and the old files beside the new ones: leave out {', '.join(ignored)}"
            )
    shares = args.split or ["0.7", "0.15", "0.15"]
    try:
        args.split = None if shares == ["none"] else tuple(float(share) for share in shares)
    except ValueError:
        parser.error(f"argument --split: expected numbers such as 0.7 0.15 0.15, or none; found {' '.join(shares)}")
    if args.split is None:
        given = {"--seed": args.seed, "--group-by": args.group_by, "--redraw": args.redraw or None}
        if ignored := [option for option, value in given.items() if value is not None]:
            parser.error(f"--split none splits nothing: give {', '.join(ignored)} to tools/split_dataset.py")
    if args.redraw and not args.overwrite:
        parser.error("argument --redraw: it draws an existing split anew, which needs --overwrite")
    return args


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    from equistera.dataset.convert import Request, convert_dataset
    from equistera.dataset.split import SplitSpec
    from equistera.dataset.update.update import update_dataset

    request = Request(
        input=args.input,
        output=args.output,
        skeleton=skeleton.load(args.skeleton),
        format=args.format,
        img_dir=args.img_dir,
        keypoint_map=args.keypoint_map,
        categories=args.category,
        split=None if args.split is None else SplitSpec(args.split, args.seed or 0, args.group_by or "none"),
        images=args.images,
        strict=args.strict,
        overwrite=args.overwrite,
        redraw=args.redraw,
        exif=args.exif,
    )
    print(update_dataset(request, args.update) if args.update else convert_dataset(request))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
