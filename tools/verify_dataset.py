"""Find everything that is wrong with annotation files and their pictures, and what it would do to training.

  python tools/verify_dataset.py --ann-file data/annotations/train.json
  python tools/verify_dataset.py --ann-file data/annotations/train.json data/annotations/val.json --report out.html
  python tools/verify_dataset.py --ann-file train.json --img-dir photos --quick
  python tools/verify_dataset.py --ann-file train.json --fix train_fixed.json

Several files are also checked against each other: the same picture, nearly the same, or the same group (--group-by) in
two of them makes the score worthless. Nothing that is given is ever changed.

Exit code: 0 clean, or warnings only; 1 errors were found; 2 the check could not run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from equistera.cli import at_least, parser, run
from equistera.errors import UserError


def parse_args(argv):
    p = parser(__doc__)
    p.add_argument("--ann-file", nargs="+", required=True, metavar="FILE", help="COCO keypoint files")
    p.add_argument(
        "--img-dir",
        nargs="+",
        default=[],
        metavar="DIR",
        help="folder of the pictures, one for all files or one each "
        "(default: data/images/train for data/annotations/train.json, else the file's own folder)",
    )
    p.add_argument("--skeleton", default="horse26", help="skeleton of the files: a built-in name or a .json file")
    p.add_argument("--quick", action="store_true", help="read only the headers of pictures; finds no near-duplicates")
    p.add_argument(
        "--group-by",
        metavar="REGEX",
        help="which pictures must not be in two files: 'folder', 'none', or a regular expression searched in the file "
        "name whose first (...) names the horse, video or day (default: as split.json beside the files says)",
    )
    p.add_argument("--report", type=Path, metavar="HTML", help="write a page with plots and the worst suspects drawn")
    p.add_argument("--fix", type=Path, metavar="JSON", help="write a copy with everything repaired that safely can be")
    p.add_argument("--overwrite", action="store_true", help="replace a report or repaired copy that exists")
    p.add_argument("--examples", type=at_least(0), default=5, metavar="N", help="examples shown of each finding")
    p.add_argument(
        "--workers", type=at_least(1), metavar="N", help="pictures read at a time (default: number of cores)"
    )
    return p.parse_args(argv)


def main(argv):
    args = parse_args(argv)
    # importing NumPy and Pillow is not paid for by --help
    from equistera.dataset.verify.command import verify_dataset

    try:
        return verify_dataset(
            args.ann_file,
            skeleton=args.skeleton,
            image_dirs=args.img_dir,
            quick=args.quick,
            group_by=args.group_by,
            report=args.report,
            fix=args.fix,
            overwrite=args.overwrite,
            examples=args.examples,
            workers=args.workers,
        )
    except UserError as error:
        # 1 is for errors in the data
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(run(main))
