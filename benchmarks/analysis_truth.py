"""What ``tools/analyze.py`` makes of rendered videos, beside what is true of them.

Examples:
  python tools/make_demo_data.py --video films --videos 4 --gait mixed --seed 77
  python tools/make_demo_data.py --video films --videos 2 --gait walk --animals 2 --seed 78
  python benchmarks/analysis_truth.py films --model work_dirs/demo --out work_dirs/analysis_truth

For each video: share of the animals' frames in which they are found, PCK@0.1 (of the true box' longer side) of what was
found and of the same model with the true boxes given, IDF1 of identities, root mean square error of points that are
visible, as the model said them and as written, and planted exchanges: of the raw tracks some stretches get their legs
exchanged, and are repaired; counted is what share of them is put right, and how many frames are changed wrongly.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_folder import PROJECT

from equistera import cli
from equistera import skeleton as skeletons
from equistera.files import write_json
from equistera.skeleton import Skeleton
from equistera.tracks import files
from equistera.tracks.swaps import limbs_of, repair_swaps
from equistera.tracks.tracks import SWAPPED, Tracks


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("films", type=Path, help="folder that tools/make_demo_data.py --video has written")
    parser.add_argument("--model", nargs="+", required=True, help="as for tools/analyze.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is analysed, and results.json")
    parser.add_argument("--det", help="as for tools/analyze.py")
    return parser.parse_args(argv)


def matched(found: Tracks, truth: Tracks, limit: float = 0.25) -> np.ndarray:
    """Which found individual shows each true one in each frame, int [T, A]; -1 for none.

    Args:
        found: What was analysed.
        truth: What is true, of the same frames.
        limit: Greatest median distance of visible points, in sizes of the animal.
    """
    result = np.full(truth.confidence.shape[:2], -1)
    for t in range(len(truth)):
        pairs = []
        for a in range(len(truth.individuals)):
            for f in range(len(found.individuals)):
                gap = np.linalg.norm(found.raw[t, f] - truth.points[t, a], axis=-1)
                if np.isfinite(gap).sum() >= 5:
                    pairs.append((float(np.nanmedian(gap)) / size_of(truth.points[t, a]), a, f))
        for gap, a, f in sorted(pairs):
            if gap <= limit and result[t, a] < 0 and f not in result[t]:
                result[t, a] = f
    return result


def size_of(points: np.ndarray) -> float:
    """Longer side of the box around the points that are known, pixels."""
    return float(np.nanmax(np.nanmax(points, axis=0) - np.nanmin(points, axis=0)))


def idf1(match: np.ndarray, found: Tracks, present: np.ndarray) -> float:
    """Identification F1 (Ristani et al. 2016): the best one-to-one assignment of whole tracks."""
    from scipy.optimize import linear_sum_assignment

    agree = np.array(
        [[int((match[:, a] == f).sum()) for f in range(len(found.individuals))] for a in range(match.shape[1])]
    )
    rows, columns = linear_sum_assignment(-agree)
    true_positives = agree[rows, columns].sum()
    seen = np.isfinite(found.confidence).any(axis=2).sum()
    return float(2 * true_positives / (present.sum() + seen))


def planted(found: Tracks, skeleton: Skeleton, rng: np.random.Generator, stretches: int = 6) -> dict[str, float]:
    """Exchanges legs for some stretches of the raw tracks and looks what the repair makes of them."""
    limbs = limbs_of(skeleton)
    raw = repair_swaps(found.with_(points=found.raw, changed=np.zeros_like(found.changed)), skeleton).points.copy()
    wrong = np.zeros(found.changed.shape, bool)
    for _ in range(stretches):
        a, limb = int(rng.integers(len(found.individuals))), limbs[int(rng.integers(len(limbs)))]
        length = int(rng.integers(2, 12))
        first = int(rng.integers(5, max(6, len(found) - length - 5)))
        left, right, part = list(limb.left), list(limb.right), slice(first, first + length)
        if wrong[part, a][:, left].any():
            continue
        raw[part, a, left], raw[part, a, right] = raw[part, a, right].copy(), raw[part, a, left].copy()
        wrong[part, a, left] = wrong[part, a, right] = True
    clean = found.with_(points=raw, raw=raw, changed=np.zeros_like(found.changed))
    changed = repair_swaps(clean, skeleton).changed & SWAPPED > 0
    return {
        "planted repaired": float(changed[wrong].mean()) if wrong.any() else float("nan"),
        "changed wrongly": float((changed & ~wrong).any(axis=2).mean()),
    }


def scores(found: Tracks, truth: Tracks, skeleton: Skeleton, rng: np.random.Generator) -> dict[str, float]:
    """All figures of one video but those with given boxes."""
    present = np.isfinite(truth.points).all(axis=-1).sum(axis=2) >= 13
    match = matched(found, truth)
    hit, close, raw_errors, errors = [], [], [], []
    for t, a in np.argwhere(present):
        f = match[t, a]
        hit.append(f >= 0)
        told = truth.confidence[t, a] == 1
        limit = 0.1 * size_of(truth.points[t, a])
        if f < 0:
            close += [False] * int(told.sum())
            continue
        raw = np.linalg.norm(found.raw[t, f] - truth.points[t, a], axis=-1)[told]
        best = np.linalg.norm(found.points[t, f] - truth.points[t, a], axis=-1)[told]
        close += (best <= limit).tolist()
        known = np.isfinite(best) & np.isfinite(raw)
        raw_errors += raw[known].tolist()
        errors += best[known].tolist()
    return {
        "found": float(np.mean(hit)),
        "PCK@0.1": float(np.mean(close)),
        "IDF1": idf1(match, found, present),
        "RMSE raw, px": float(np.sqrt(np.mean(np.square(raw_errors)))),
        "RMSE, px": float(np.sqrt(np.mean(np.square(errors)))),
        "animals": len(found.individuals),
        **planted(found, skeleton, rng),
    }


def given_boxes(film: Path, truth: Tracks, model: Sequence[str]) -> float:
    """PCK@0.1 of visible points with the true boxes."""
    from equistera.dataset.boxes import box_around
    from equistera.mm.prediction.predict import Predictor
    from equistera.named_models import members
    from equistera.video import VideoFrames

    ((config, checkpoint),) = members(list(model))
    predictor, close = Predictor(config, checkpoint), []
    for frame in VideoFrames(film, None).frames():
        t = frame.number
        here = [a for a in range(len(truth.individuals)) if np.isfinite(truth.points[t, a, :, 0]).sum() >= 13]
        boxes = [box_around(truth.points[t, a][np.isfinite(truth.points[t, a, :, 0])], *truth.size) for a in here]
        for a, pose in zip(here, predictor.poses([(frame.image, box) for box in boxes]), strict=True):
            told = truth.confidence[t, a] == 1
            gap = np.linalg.norm(pose.points - truth.points[t, a], axis=-1)[told]
            close += (gap <= 0.1 * size_of(truth.points[t, a])).tolist()
    return float(np.mean(close))


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    words = ["--det", args.det] if args.det else []
    command = [sys.executable, str(PROJECT / "tools/analyze.py"), *args.model, str(args.films), "--out", str(args.out)]
    subprocess.run([*command, *words], check=False)
    skeleton, rng, rows = skeletons.load(skeletons.DEFAULT), np.random.default_rng(0), {}
    for film in sorted(args.films.glob("*.mp4")):
        truth = files.read(film.with_suffix(".truth.csv"))
        found = files.read(args.out / f"{film.stem}.csv", skeleton)
        rows[film.stem] = scores(found, truth, skeleton, rng) | {"given": given_boxes(film, truth, args.model)}
        print(film.stem, " ".join(f"{key} {value:.3f}" for key, value in rows[film.stem].items()), flush=True)
    mean = {key: float(np.nanmean([row[key] for row in rows.values()])) for key in next(iter(rows.values()))}
    print("mean", " ".join(f"{key} {value:.3f}" for key, value in mean.items()))
    write_json(args.out / "results.json", {"videos": rows, "mean": mean}, indent=1)


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
