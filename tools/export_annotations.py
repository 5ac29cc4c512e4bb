"""Writes COCO keypoint files in the format of a labelling tool, to correct labels there or to train elsewhere.

    python tools/export_annotations.py --ann-file data/annotations/val.json --to labelstudio --output val_tasks.json
    python tools/export_annotations.py --ann-file data/annotations/train.json data/annotations/val.json \\
        --to yolo --output exports/yolo

Points and their visibility come back the same from each format with tools/convert_dataset.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from equistera import cli, skeleton


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--ann-file", required=True, nargs="+", type=Path, metavar="FILE", help="COCO keypoint files")
    parser.add_argument("--to", required=True, choices=("labelstudio", "cvat", "coco", "yolo"), help="format to write")
    parser.add_argument(
        "--out", "--output", dest="output", required=True, type=Path, help="file to write; a folder for yolo"
    )
    parser.add_argument("--skeleton", default=skeleton.DEFAULT, help="skeleton of the files: a name or a .json file")
    parser.add_argument("--img-dir", type=Path, help="folder of the pictures (default: images/NAME beside NAME.json's)")
    parser.add_argument(
        "--images", choices=("link", "copy", "none"), help="yolo: how to put pictures beside labels (default: link)"
    )
    parser.add_argument(
        "--url-prefix",
        help="labelstudio: what stands before a picture's name, such as the address of a bucket "
        "(default: /data/local-files/?d=)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace output that exists")
    args = parser.parse_args(argv)
    for option, value, of in (("--images", args.images, "yolo"), ("--url-prefix", args.url_prefix, "labelstudio")):
        if value is not None and args.to != of:
            parser.error(f"argument {option}: it is for --to {of}, and says nothing with --to {args.to}")
    return args


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    from equistera.dataset.export import export_annotations

    print(
        export_annotations(
            args.ann_file,
            args.to,
            args.output,
            skeleton.load(args.skeleton),
            img_dir=args.img_dir,
            overwrite=args.overwrite,
            **{name: value for name in ("images", "url_prefix") if (value := getattr(args, name)) is not None},
        )
    )


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
