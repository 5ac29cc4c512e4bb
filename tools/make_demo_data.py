"""Makes a data set of synthetic horses with all keypoints: for a machine without data, tests and pre-training.

    python tools/make_demo_data.py --out data/demo --train 240 --val 48 --test 48 --seed 0
    python tools/make_demo_data.py --out data/demo_ap10k --skeleton ap10k       the same pictures, AP-10K's points
    python tools/make_demo_data.py --out data/big --train 5000 --size 640x480   one size for all
    python tools/make_demo_data.py --out data/own --backdrops photos            before your own photos
    python tools/make_demo_data.py --sheet horses.jpg                           a contact sheet only
    python tools/make_demo_data.py --video films --videos 3 --gait trot         videos of moving horses
    python tools/make_demo_data.py --video uneven --gait trot --asymmetry head=0.03,croup=0.01

Writes OUT/annotations/{train,val,test}.json (COCO keypoints) and OUT/images/{train,val,test}/. The same seed gives the
same bytes, with any number of workers.

--video writes, in its folder, NAME.mp4, NAME.truth.csv (the true points of every frame, as tools/analyze.py writes its
own) and NAME.truth.json (footfalls, speed, stride, heights over the ground), to check what is measured from videos. A
hoof is on the ground from its told touch-down to its told lift-off. --asymmetry sets MinDiff: by how many body lengths
(withers to tail base) a part's lowest place while the right hoof stands (fore for head and withers, hind for croup) is
above that while the left one does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from equistera import cli, skeleton
from equistera.errors import UserError
from equistera.synthetic import film_options
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
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="of all (default: 640x480 to 1280x960; videos 640x480)"
    )
    parser.add_argument(
        "--backdrops", metavar="DIR", help="photos to stand before instead of drawn places; no labels needed"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each processor)")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the demo data set in OUT, where others stay, the sheet or the videos",
    )
    parser.add_argument("--sheet", metavar="FILE", help="write a contact sheet with drawn keypoints (.jpg)")
    video = parser.add_argument_group("videos")
    video.add_argument("--video", metavar="DIR", help="make videos of moving horses in this folder")
    video.add_argument("--videos", type=cli.at_least(1), default=1, metavar="N", help="how many")
    video.add_argument("--gait", choices=[*film_options.GAITS, "mixed"], default="mixed", help="how they go")
    video.add_argument("--animals", type=int, choices=[1, 2], default=1, help="2 cross each other")
    video.add_argument("--seconds", type=float, default=8.0, metavar="S", help="length of a video")
    video.add_argument("--fps", type=int, default=25, help="frames a second")
    video.add_argument(
        "--camera", choices=["pan", "still"], help="default: it pans with one horse, with two it is still"
    )
    video.add_argument("--asymmetry", metavar="PART=MINDIFF,...", help="of head, withers, croup; with --gait trot")
    args = parser.parse_args(argv)
    if not (args.out or args.sheet or args.video):
        parser.error("give --out, --sheet or --video")
    given = parser.given(argv)
    for option in ("videos", "gait", "animals", "seconds", "fps", "camera", "asymmetry"):
        if option in given and not args.video:
            parser.error(f"argument --{option}: it is for --video DIR, which is not given")
    if args.video:
        for option in ("out", "sheet", "train", "val", "test", "skeleton", "backdrops"):
            if option in given:
                parser.error(f"argument --{option}: it is for pictures, and says nothing with --video")
        try:
            args.asymmetry = film_options.parse_asymmetry(args.asymmetry) if args.asymmetry is not None else {}
            args.film = {
                "gait": args.gait,
                "animals": args.animals,
                "seconds": args.seconds,
                "fps": args.fps,
                "size": args.size or (640, 480),
                "asymmetry": args.asymmetry,
            }
            film_options.check_film(**args.film, seed=args.seed, workers=args.workers)
        except UserError as error:
            parser.error(str(error))
    if args.backdrops and not args.out:
        parser.error("argument --backdrops: it is for --out DIR, which is not given")
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
        photos: Sequence = ()
        if args.backdrops:
            from equistera.synthetic import photo_backdrop

            photos, notes = photo_backdrop.find(args.backdrops)
            print("\n".join([f"{counted(len(photos), 'photos')} to stand before in {args.backdrops}", *notes]))
        out = write_dataset(
            args.out,
            counts,
            seed=args.seed,
            skeleton_name=args.skeleton,
            size=args.size,
            workers=args.workers,
            overwrite=args.overwrite,
            backdrops=photos,
        )
        print(f"{counted(sum(counts.values()), 'pictures')} of synthetic horses in {out}")
    if args.video:
        _write_films(args)
    if args.sheet:
        print(f"contact sheet: {write_sheet(args.sheet, args.seed, args.skeleton)}")


def _write_films(args: argparse.Namespace) -> None:
    from pathlib import Path

    from equistera.outputs import check_targets
    from equistera.synthetic.film import files_of, sample_film, write_film

    pans = None if args.camera is None else args.camera == "pan"
    films = [sample_film(args.seed, number, pans=pans, **args.film) for number in range(args.videos)]
    out = Path(args.video)
    check_targets("--video", [path for film in films for path in files_of(film, out)], overwrite=args.overwrite)
    out.mkdir(parents=True, exist_ok=True)
    for number, film in enumerate(films, start=1):
        print(write_film(film, out, args.workers, title=f"[{number}/{len(films)}] {film.name}")[0])


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
