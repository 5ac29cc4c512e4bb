"""Pick the frames of videos and the pictures that are worth labelling next.

Examples:
  python tools/pick_frames.py videos/ --n 200 --out to_label
  python tools/pick_frames.py videos/ photos/ --budget-hours 8 --out to_label --ann-file data/annotations/train.json
  python tools/pick_frames.py videos/ --out to_label --checkpoint work_dirs/rtmpose_m --det rtmdet
  python tools/pick_frames.py videos/ --out to_label --config configs/rtmpose_m_ap10k.py \\
      --checkpoint work_dirs/rtmpose_m/best.pth work_dirs/rtmpose_m/epoch_200.pth --det rtmdet

Without a model: pictures that stand for many others in colours and shapes. With one: that stand for many others, as the
model itself sees them, of which it is unsure (low calibrated confidence; points elsewhere in mirrored, larger or
smaller views, by other checkpoints, or from frame to frame; limbs that are too long); those of which it makes nothing
at all, mostly cut off or hidden, count little. Never two of one stride, none that is blurred beside the others of its
video, none that is labelled already (--ann-file) or nearly the same; each video and each folder of pictures gets its
share.

Writes, into --out: images/, chosen.csv (where each is from, and why) and chosen.html (the same to look at). Frames are
saved as VIDEO_FRAME.jpg. Pictures are hard links, or copies on another disk: a program that edits one in its place
changes yours. Of a video that breaks off, what can be read is picked from (exit code 1).
"""

import argparse

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument("words", nargs="+", metavar="VIDEO-OR-FOLDER", help="videos, pictures, and folders of them")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for what is chosen")
    many = parser.add_argument_group("how many")
    many.add_argument("--n", type=int, metavar="N", help="pictures (default: 200)")
    many.add_argument("--budget-hours", type=float, metavar="H", help="as many as can be labelled in so many hours")
    many.add_argument(
        "--minutes-per-picture", type=float, metavar="M", help="what one takes, with --budget-hours (default: 4)"
    )
    many.add_argument(
        "--minutes-from", metavar="FILE", help="measured instead: Label Studio's JSON export, which holds times"
    )
    which = parser.add_argument_group("which")
    which.add_argument(
        "--ann-file", nargs="+", default=[], metavar="FILE", help="COCO files of what is labelled already"
    )
    which.add_argument("--img-dir", metavar="DIR", help="their pictures (default: images/NAME beside annotations/)")
    which.add_argument(
        "--every",
        type=float,
        default=0.35,
        metavar="S",
        help="seconds between the frames of a video that are looked at",
    )
    which.add_argument("--gap", type=float, default=0.7, metavar="S", help="seconds between two of one video at least")
    which.add_argument(
        "--group-by", metavar="RULE",
        help="groups that share the number evenly: folder, none (one group), or a regular expression that is searched "
        "in the name, such as '(horse\\d+)' (default: each video, and the pictures of each folder)",
    )  # fmt: skip
    which.add_argument(
        "--rule", choices=["cover", "spread"], default="cover",
        help="cover: pictures that stand for many others; spread: the farthest from all that is chosen, odd ones first",
    )  # fmt: skip
    which.add_argument("--most-per-group", type=int, metavar="N", help="at most so many of each group")
    which.add_argument(
        "--blurred", type=float, default=0.6, metavar="SHARE",
        help="leave out what is less sharp than this share of the median of its video or group; 0: nothing",
    )  # fmt: skip
    which.add_argument(
        "--duplicate-distance", type=int, default=6, metavar="BITS",
        help="bits of 64 in which the hashes of nearly the same pictures may differ (frames of one video differ by "
        "their times)",
    )  # fmt: skip
    model = parser.add_argument_group("with a model")
    model.add_argument(
        "--checkpoint", nargs="+", default=[], metavar="WORK_DIR|FILE",
        help="a work dir or weights; several (of one run, or an ensemble) also show where they disagree",
    )  # fmt: skip
    model.add_argument("--config", metavar="FILE", help="their config (default: the run's own copy)")
    model.add_argument("--boxes", metavar="FILE", help="COCO file that says where the animals of pictures are")
    model.add_argument("--conf", type=float, metavar="P", help="points of less confidence count as unsure")
    model.add_argument("--batch-size", type=int, default=16, help="crops that go through the model together")
    model.add_argument("--amp", action=argparse.BooleanOptionalAction, help="mixed precision (default: where it pays)")
    inputs.add_common(model, *inputs.DETECTOR, "--skeleton", "--device", "--cfg-options")
    inputs.add_common(parser, "--overwrite")
    return vars(parser.parse_intermixed_args(argv))


def main(argv):
    options = parse_args(argv)
    if options["checkpoint"]:
        device.choose(options["device"])
    # after the arguments: --help need not wait for NumPy
    from equistera.labelling.pick import pick
    from equistera.labelling.picking import PickOptions, settled

    job = settled(PickOptions(**options))
    if not job.models:
        return pick(job)
    from equistera.mm.labelling.picking import model_of

    return pick(job, model_of(job))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
