"""Let the model label first: predictions as pre-annotations for a labelling tool, to be corrected by people.

Examples:
  python tools/prelabel.py work_dirs/rtmpose_m new_photos/ --to labelstudio --out tasks.json
  python tools/prelabel.py work_dirs/rtmpose_m new_photos/ --to cvat --out annotations.xml --det work_dirs/detector
  python tools/prelabel.py work_dirs/rtmpose_m picked/images --order picked/chosen.csv --to labelstudio --out tasks.json
  python tools/prelabel.py configs/rtmpose_m_ap10k.py best.pth a.jpg b.jpg --to coco --out predicted.json --conf 0.7

What the project in the tool needs is written beside --out: NAME_labelling.xml for Label Studio (Settings, Labeling
Interface, Code), NAME_labels.json for CVAT (tab "Raw" of the labels: a skeleton and a rectangle for each animal).
Before there is a model, tools/labelling_config.py writes the same for any skeleton.

Points that the model is unsure of are left out and counted: in CVAT they are "outside", where the model saw them.
Pictures stand in the order of their worth, the least sure first; those without an animal come before all. A model knows
nothing of hidden points: say that while you correct. Corrected, the export becomes a data set, or joins one, by
tools/convert_dataset.py (--update all).

Boxes are those of --ann-file, found by --det, or looked for by the model itself, which is slow and misses small
animals. Pictures that cannot be read are named at the end (exit code 1), all others are written.
"""

import argparse

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument(
        "words", nargs="+", metavar="MODEL_OR_PICTURE",
        help="the model, as for tools/test.py, then pictures and folders of pictures",
    )  # fmt: skip
    parser.add_argument("--to", required=True, choices=["labelstudio", "cvat", "coco"], help="format to write")
    parser.add_argument(
        "--out", "--output", required=True, metavar="FILE",
        help="file to write: .json, or .xml for cvat; names of pictures in it are relative to their common folder",
    )  # fmt: skip
    parser.add_argument("--ann-file", metavar="FILE", help="COCO file with boxes of the animals in these pictures")
    parser.add_argument(
        "--conf", "--kpt-thr", type=float, metavar="P",
        help="leave out keypoints of less confidence (default: 0.5 of a probability if a calibration is stored beside "
        "the checkpoint, see tools/test.py; else 0.3 of the uncalibrated one)",
    )  # fmt: skip
    parser.add_argument(
        "--order", default="least-sure", metavar="HOW",
        help="least-sure, name, or the chosen.csv of tools/pick_frames.py",
    )  # fmt: skip
    parser.add_argument(
        "--category",
        metavar="NAME",
        help="what the animals are called (default: as in --ann-file or --det-class, else horse)",
    )
    parser.add_argument(
        "--url-prefix",
        help="labelstudio: what stands before a picture's name, such as the address of a bucket "
        "(default: /data/local-files/?d=)",
    )
    parser.add_argument("--batch-size", type=int, default=16, help="animals that go through the model together")
    parser.add_argument("--amp", action=argparse.BooleanOptionalAction, help="mixed precision (default: where it pays)")
    inputs.add_common(parser, *inputs.LOOK)
    # options may stand between the model and the pictures
    options = parser.parse_intermixed_args(argv)
    if options.url_prefix is not None and options.to != "labelstudio":
        parser.error(f"argument --url-prefix: it is for --to labelstudio, and says nothing with --to {options.to}")
    return vars(options)


def main(argv):
    options = parse_args(argv)
    device.choose(options["device"])
    # after the arguments: --help need not wait for NumPy
    from equistera.labelling.prelabelling import PrelabelOptions, settled

    job = settled(PrelabelOptions(**options))
    from equistera.mm.labelling.prelabel import prelabel

    return prelabel(job)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
