"""Measure how exactly people label, from pictures that several of them labelled.

Examples:
  python tools/measure_sigmas.py twice/anna.json twice/ben.json --out data/annotations
  python tools/measure_sigmas.py anna.json ben.json carl.json --skeleton my_skeleton.json --out twice
  python tools/measure_sigmas.py export.json --img-dir photos --out twice

Each file is a COCO file of the same pictures by another labeller (tools/convert_dataset.py makes it of an export of
theirs). A file alone is Label Studio's JSON export of tasks that several people annotated. 60 pictures give a sigma to
about 7 %, that of mirrored points to 5 %; the intervals say how far it may be off.

Writes into --out:
  NAME.json            the skeleton with the sigmas of OKS that were measured: for --skeleton of the other tools
  human_ceiling.json   AP and PCK of one labeller against the other, and each labeller's bias; beside the annotations
                       that models are tested on, tools/test.py shows it beside their scores
  disagreements.csv    points that labellers put in quite different places (other legs, other animals): mistakes to look
                       at, which do not count as spread
"""

from pathlib import Path

from equistera import cli, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("files", nargs="+", type=inputs.file, metavar="FILE", help="COCO file of one labeller")
    parser.add_argument("--img-dir", type=Path, help="of Label Studio's export: the pictures (default: its folder)")
    parser.add_argument(
        "--category", nargs="+", default=[], metavar="NAME", help="of Label Studio's export: categories of the animals"
    )
    parser.add_argument("--out", metavar="DIR", help="folder for the results (default: that of the first file)")
    inputs.add_common(parser, "--skeleton", "--overwrite")
    args = parser.parse_args(argv)
    if len(args.files) > 1 and (args.img_dir or args.category):
        parser.error("--img-dir and --category are for Label Studio's export, which is given alone")
    return args


def main(argv):
    args = parse_args(argv)
    from equistera import skeleton
    from equistera.labelling.measured import measure_and_write

    measure_and_write(
        args.files,
        args.skeleton or skeleton.DEFAULT,
        Path(args.out or Path(args.files[0]).parent),
        overwrite=args.overwrite,
        img_dir=args.img_dir,
        categories=args.category,
    )


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
