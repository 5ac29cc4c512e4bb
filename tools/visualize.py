"""Draw predicted poses on pictures or a video.

Examples:
  python tools/visualize.py work_dirs/rtmpose_m --img data/images/test/sample.jpg --out output.jpg
  python tools/visualize.py work_dirs/rtmpose_m --img-dir data/images/test/ --out visualizations/
  python tools/visualize.py work_dirs/rtmpose_m --img-dir data/images/test/ --ann-file data/annotations/test.json \\
      --out visualizations/ --json poses.json
  python tools/visualize.py work_dirs/rtmpose_m --video trot.mp4 --out trot_drawn.mp4 --det rtmdet
  python tools/visualize.py --config configs/rtmpose_m_ap10k.py --checkpoint work_dirs/rtmpose_m/best.pth \\
      --img data/images/test/sample.jpg --out output.jpg

A work dir stands for its best.pth and for the run's own copy of its config; a config before it is only checked. Of a
run that is not yours name the weights, and a config of your own: a config is a program.

Orange is the animal's left, blue its right, yellow the middle; points that the model is unsure of are dimmed. Without
boxes the model itself looks for the animals of a picture, which is slow and misses small ones; where it is sure of
none, and in videos, one animal is looked for in the whole picture, then once more where its points were found.
Pictures that cannot be read are named at the end (exit code 1), all others are drawn. A drawn video keeps the times of
its frames and its sound; one that breaks off is drawn as far as it goes (exit code 1).
"""

import argparse

from equistera import cli, device, inputs


def parse_args(argv):
    parser = cli.parser(__doc__)
    parser.add_argument(
        "model", nargs="*", metavar="[CONFIG] WORK_DIR|CHECKPOINT", help="a work dir, or a config file and its weights"
    )
    parser.add_argument("--config", help="the same, by name: config file of the run")
    parser.add_argument("--checkpoint", help="its weights, such as work_dirs/NAME/best.pth, or its work dir")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--img", help="one picture")
    what.add_argument("--video", help="a video")
    what.add_argument("--img-dir", help="a folder of pictures, with those below it")
    parser.add_argument(
        "--out", "--out-file", "--out-dir", action=cli.Once,
        help="where to draw: a file for --img or --video (.mp4, .mov, .avi), a folder for --img-dir; never in place of "
        "what is read",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the predictions too, as COCO keypoint results")
    parser.add_argument("--ann-file", help="COCO file with boxes; what it labels is drawn beside the predictions")
    parser.add_argument(
        "--conf", "--kpt-thr", type=float, metavar="P",
        help="dim keypoints of less confidence (default: 0.5 of a probability if a calibration is stored beside the "
        "checkpoint, see tools/test.py; else 0.3 of the uncalibrated one)",
    )  # fmt: skip
    parser.add_argument("--batch-size", type=int, default=16, help="animals that go through the model together")
    parser.add_argument(
        "--amp", action=argparse.BooleanOptionalAction,
        help="mixed precision (default: on GPUs and CPUs that have units for it, where it is about twice as fast)",
    )  # fmt: skip
    inputs.add_common(parser, *inputs.LOOK)
    # options may stand between a config and its checkpoint
    options = vars(parser.parse_intermixed_args(argv))
    named = [options.pop(name) for name in ("config", "checkpoint")]
    if options["model"] and any(named):
        parser.error("name the model by its place or by --config and --checkpoint, not by both")
    options["model"] = options["model"] or [word for word in named if word]
    if not options["model"]:
        parser.error("which model? Name a work dir, or --config and --checkpoint")
    if not options["out"] and not options["json"]:
        parser.error("where to? --out draws, --json writes the predictions")
    return options


def main(argv):
    options = parse_args(argv)
    device.choose(options["device"])
    # after the arguments: --help need not wait for NumPy
    from equistera.visualizing import VisualizeOptions, settled

    job = settled(VisualizeOptions(**options))
    from equistera.mm.prediction.visualize import visualize

    return visualize(job)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
