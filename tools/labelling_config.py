"""Writes what a labelling tool needs before the first label, for any skeleton: its labels, and a picture of the points.

    python tools/labelling_config.py --to labelstudio --output horse26.xml
    python tools/labelling_config.py --to cvat --output horse26.json
    python tools/labelling_config.py --to picture --skeleton my_points.json --output my_points.jpg

What is exported from projects with these labels is read by tools/convert_dataset.py as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from equistera import cli, skeleton


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--to", required=True, choices=("labelstudio", "cvat", "picture"), help="labels of a tool, or the drawing"
    )
    parser.add_argument(
        "--out", "--output", dest="output", required=True, type=Path,
        help="file to write: .xml, .json (cvat), .jpg (picture)",
    )  # fmt: skip
    parser.add_argument("--skeleton", default=skeleton.DEFAULT, help="points to label: a name or a .json file")
    parser.add_argument("--category", nargs="+", metavar="NAME", help="what the animals are called (default: horse)")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    args = parser.parse_args(argv)
    if args.to == "picture" and args.category is not None:
        parser.error("argument --category: it says nothing with --to picture")
    return args


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    from equistera.dataset.export import write_labelling_config
    from equistera.dataset.formats.records import HORSE

    points = skeleton.load(args.skeleton)
    categories = args.category or [HORSE]
    print(write_labelling_config(points, args.to, args.output, categories, overwrite=args.overwrite))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
