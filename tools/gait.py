"""Measure strides, joint angles and symmetry in tracks that tools/analyze.py has written.

Examples:
  python tools/gait.py analysed/trot.csv
  python tools/gait.py analysed/trot.parquet --individual animal1 --out gait
  python tools/gait.py trotDLC_resnet50.h5 --fps 50 --keypoint-map names.json --out gait

Writes, beside the tracks or in --out:
  NAME.gait.html   a page: stride, stance and swing times, duty factor, stride length, joint angles, symmetry
  NAME.gait.json   the same for programs, with footfalls and 95 % intervals
  NAME.angles.csv  the angles of each frame, with the standard deviation that the points' noise makes

The horse has to be seen from its side, within about 50 degrees, for three strides at least, by a camera that is held
level; it may pan. Legs that do not agree on the time of a stride are refused. Symmetry is measured at the trot only,
and where the noise is larger than an asymmetry, no verdict is given. Nothing here is a diagnosis.
"""

from pathlib import Path

from equistera import cli, inputs, skeleton
from equistera.errors import UserError


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("tracks", type=inputs.file, help="table of tools/analyze.py, or of DeepLabCut with --fps")
    parser.add_argument("--out", metavar="DIR", help="folder for the results (default: that of the tracks)")
    parser.add_argument("--individual", metavar="NAME", help="measure this animal only (default: all)")
    parser.add_argument("--fps", type=cli.positive, help="frames a second, for DeepLabCut's files, which hold no times")
    parser.add_argument(
        "--keypoint-map",
        type=inputs.file,
        metavar="FILE",
        help='JSON of horse26 names for points of other names: {"left front hoof": "lf_hoof", "ball": null}; null '
        "leaves a point out",
    )
    inputs.add_common(parser, "--overwrite")
    return parser.parse_args(argv)


def main(argv):
    args = parse_args(argv)
    from equistera.dataset.matching import read_keypoint_map
    from equistera.gait.measures import measure
    from equistera.gait.page import files_of, write
    from equistera.outputs import check_targets, record
    from equistera.tracks import files

    path = Path(args.tracks)
    out, name = Path(args.out or path.parent), path.name.removesuffix(path.suffix)
    targets = files_of(out, name)
    check_targets(
        "--out", targets, inputs=[path, *filter(None, [args.keypoint_map])], overwrite=args.overwrite, tool="gait"
    )
    tracks = files.read(path, fps=args.fps)
    if args.keypoint_map:
        tracks = files.renamed(tracks, read_keypoint_map(args.keypoint_map, skeleton.load(skeleton.DEFAULT)))
    if not tracks.individuals:
        raise UserError(f"{path} holds no animal: none was found in the video")
    gaits, problems = [], []
    for individual in [args.individual] if args.individual else tracks.individuals:
        try:
            gaits.append(measure(tracks, individual))
        except UserError as error:
            # most of what is found says nothing of whose it is
            told = str(error)
            problems.append(told if told.startswith(individual) else f"{individual}: {told}")
    if not gaits:
        raise UserError(f"nothing can be measured in {path}:", problems)
    for target in write(gaits, problems, out, name):
        record("gait", target)
    for gait in gaits:
        few = [(key, gait.measures[key]) for key in ("stride", "duty", "length") if key in gait.measures]
        shown = [f"{key} {found.text()} {found.unit}".rstrip() for key, found in few]
        print(f"{gait.individual}: {', '.join(shown)}; {gait.gait}")
        for key, verdict in gait.verdicts.items():
            print(f"  {key}: {verdict}")
        for note in gait.notes:
            print(f"  {note}")
    for problem in problems:
        print(f"not measured: {problem}")
    print(f"written: {', '.join(map(str, targets))}")


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
