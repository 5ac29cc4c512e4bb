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
    parser.add_argument("--output", required=True, type=Path, help="file to write; a folder for yolo")
    parser.add_argument("--skeleton", default=skeleton.DEFAULT, help="skeleton of the files: a name or a .json file")
    parser.add_argument("--img-dir", type=Path, help="folder of the pictures (default: images/NAME beside NAME.json's)")
    parser.add_argument(
        "--images", choices=("link", "copy", "none"), default="link", help="yolo: how to put pictures beside labels"
    )
    parser.add_argument(
        "--url-prefix",
        default="/data/local-files/?d=",
        help="labelstudio: what stands before a picture's name, such as the address of a bucket",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace output that exists")
    return parser.parse_args(argv)


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
            images=args.images,
            url_prefix=args.url_prefix,
            overwrite=args.overwrite,
        )
    )


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
