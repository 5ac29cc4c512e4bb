"""Small animals in large pictures: how often the pose model finds them itself, beside one look at the whole picture.

Examples:
  python benchmarks/find_animal.py work_dirs/demo --pictures 12
  python benchmarks/find_animal.py work_dirs/demo --pictures 12 --det work_dirs/demo_detector

Horses of 60 to 512 pixels are rendered into pictures of 1280x960. "search" is what tools/visualize.py does without
--det (tools/analyze.py wants to be surer), "one look" what it does where the search finds nothing, "detector" what both
do with one. An animal is found where a box overlaps its own by 0.3; a box that overlaps none by 0.1 is an invented one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from equistera import cli, inputs

SIZE = (1280, 960)
SHARES = (60 / 1280, 0.1, 0.2, 0.4)


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("model", nargs="+", help="as for tools/test.py")
    parser.add_argument("--pictures", type=int, default=12, help="of each size")
    parser.add_argument("--seed", type=int, default=7)
    inputs.add_common(parser, *inputs.DETECTOR)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    import cv2
    import numpy as np

    from equistera.dataset.boxes import overlaps
    from equistera.frames import Frame
    from equistera.looking import DetectorOptions
    from equistera.mm.prediction.detect import boxes_of
    from equistera.mm.prediction.pose_drawing import Confidence
    from equistera.mm.prediction.predict import Predictor
    from equistera.mm.prediction.search import SearchedBoxes
    from equistera.mm.prediction.stream import box_of, predict_frames
    from equistera.named_models import members
    from equistera.synthetic.sample import make_sample

    ((config, checkpoint),) = members(args.model)
    predictor = Predictor(config, checkpoint)
    confidence = Confidence.of(checkpoint, False, None, predictor.settings)
    searched = SearchedBoxes(predictor, confidence.apply)

    def one_look(frame: Frame) -> list[Sequence[float]]:
        (seen,) = predict_frames(predictor, [frame], None, confidence.is_sure)
        boxes = [box_of(pose.points[confidence.is_sure(pose.scores)], SIZE) for pose in seen.poses]
        return [box for box in boxes if box is not None]

    ways = {"search": lambda frame: [box.xywh for box in searched([frame])[0]], "one look": one_look}
    chosen = DetectorOptions(**{name: value for name, value in vars(args).items() if name.startswith("det")})
    if detector := chosen.detector():
        detected = boxes_of(detector, args.det_class, args.det_thr)
        ways["detector"] = lambda frame: [box.xywh for box in detected([frame])[0]]
    for share in SHARES:
        counts = {name: [0, 0, 0.0] for name in ways}
        total = 0
        for number in range(args.pictures):
            sample = make_sample(args.seed, "test", number, SIZE, share)
            image = cv2.imdecode(np.frombuffer(sample.jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            total += len(sample.labels)
            for name, look in ways.items():
                began = time.monotonic()
                boxes = look(Frame(str(number), number, image))
                counts[name][2] += time.monotonic() - began
                animals = np.array([label.bbox for label in sample.labels], dtype=float).reshape(-1, 4)
                shared = overlaps(animals, np.array(boxes, dtype=float).reshape(-1, 4))
                counts[name][0] += int((shared.max(axis=1, initial=0) >= 0.3).sum())
                counts[name][1] += int((shared.max(axis=0, initial=0) < 0.1).sum())
        for name, (found, invented, seconds) in counts.items():
            print(
                f"{share * SIZE[0]:4.0f} px {name:9} found {found} of {total}, invented {invented}, "
                f"{seconds / args.pictures:.2f} s a picture",
                flush=True,
            )


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
