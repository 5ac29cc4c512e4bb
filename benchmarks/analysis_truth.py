"""What ``tools/analyze.py`` makes of rendered videos, beside what is true of them.

Examples:
  python benchmarks/analysis_truth.py --model configs/demo_rtmpose_t.py best.pth --out work_dirs/analysis_truth
  python benchmarks/analysis_truth.py --films films --model work_dirs/demo --det animal --out work_dirs/found

The videos are :data:`FILMS`, of seeds that nothing is trained on; those that FILMS does not hold are rendered there
first (about ten minutes). For each video: share of the animals' frames in which they are found, IDF1 of identities,
PCK@0.1 (of the true box' longer side) and that of the same model with the true boxes given, in all frames, where an
animal that was not found has no right point, and in those in which it was found.

Smoothing (``smoothing_truth.py``): error, jitter, the moments at which hooves are highest and the range of joints of
visible points as the model said them and as written; of all points, and of those that are within 10 % of the animal
of the truth before and after, since no smoother mends a model that takes the other leg.

Planted exchanges: of the true animals' raw tracks some stretches get their legs exchanged, and are repaired; counted is
what share of them is put right, and how many frames are changed wrongly. A frame in which the model put both legs in
one place cannot show an exchange: such frames are counted apart.

Both are done as well to the true points with noise of 1 % of the animal, which says what is the model's fault, and
smoothing to the true points as they are, which says how much of a movement it takes away.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_folder import PROJECT
from smoothing_truth import Compared, smoothing, where_right

from equistera import cli
from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.files import write_json
from equistera.skeleton import Skeleton
from equistera.tracks import files
from equistera.tracks.smooth import smooth
from equistera.tracks.swaps import Limb, limbs_of, repair_swaps
from equistera.tracks.tracks import SWAPPED, Tracks

#: Options of ``tools/make_demo_data.py --video`` and the names of the videos that come of them.
FILMS = (
    ("--gait walk --videos 3 --seed 9101", ("walk_000", "walk_001", "walk_002")),
    ("--gait trot --videos 3 --seed 9102", ("trot_000", "trot_001", "trot_002")),
    ("--gait canter --videos 2 --seed 9103", ("canter_000", "canter_001")),
    ("--gait walk --animals 2 --videos 2 --seed 9104", ("walk_crossing_000", "walk_crossing_001")),
    ("--gait trot --animals 2 --videos 2 --seed 9105", ("trot_crossing_000", "trot_crossing_001")),
)
#: An exchange can be seen where so many pairs of points of a limb lie so far apart, in sizes of the animal.
_PAIRS, _APART = 2, 0.1
#: A stretch is planted for so many frames of an animal.
_EVERY = 20
#: So often other stretches are planted: what is missed is whole stretches, so that one draw says little.
_DRAWS = 10
#: Noise of the true points, and how near the truth a point is right, in sizes of the animal.
_NOISE, _RIGHT = 0.01, 0.1


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--films", type=Path, help="folder of the videos (default: the folder films in OUT)")
    parser.add_argument("--model", nargs="+", required=True, help="as for tools/analyze.py")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for what is analysed and results.json: a new one"
    )
    parser.add_argument("--det", help="as for tools/analyze.py")
    parser.add_argument("--det-weights", help="as for tools/analyze.py")
    parser.add_argument("--smooth", default="kalman", help="as for tools/analyze.py")
    args = parser.parse_args(argv)
    args.films = args.films or args.out / "films"
    args.analysed = args.out / "analysed"
    if args.analysed.exists():
        # what an earlier call analysed must not pass for this one's
        parser.error(f"{args.analysed} exists: name a new folder, and the videos by --films {args.films}")
    return args


def render(folder: Path) -> list[Path]:
    """Makes the videos that a folder does not hold whole, and names all."""
    for options, names in FILMS:
        whole = [(folder / f"{name}.mp4").exists() and (folder / f"{name}.truth.json").exists() for name in names]
        begun = any((folder / f"{name}.mp4").exists() for name in names)
        if not all(whole):
            tool = [sys.executable, str(PROJECT / "tools/make_demo_data.py"), "--video", str(folder)]
            subprocess.run([*tool, *options.split(), *(["--overwrite"] if begun else [])], check=True)
    return [folder / f"{name}.mp4" for _, names in FILMS for name in names]


def analysed(films: Sequence[Path], args) -> None:
    """Runs ``tools/analyze.py``.

    Raises:
        UserError: It failed; nothing is to be scored then.
    """
    command = [sys.executable, str(PROJECT / "tools/analyze.py"), *args.model, *map(str, films)]
    command += ["--out", str(args.analysed), "--smooth", args.smooth]
    for option, value in (("--det", args.det), ("--det-weights", args.det_weights)):
        command += [option, value] if value else []
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise UserError(f"tools/analyze.py ended with {done.returncode}: nothing is scored")


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


def planted(found: Tracks, skeleton: Skeleton, rng: np.random.Generator) -> dict[str, float]:
    """Exchanges legs for some stretches of the raw tracks and looks what the repair makes of them.

    Returns:
        Share of exchanged limbs of frames put right where the legs are apart, and where they lie in one place; their
        numbers; share of the animals' frames in which something else was changed.
    """
    limbs = limbs_of(skeleton)
    raw = repair_swaps(found.with_(points=found.raw, changed=np.zeros_like(found.changed)), skeleton).points.copy()
    wrong = np.zeros(found.changed.shape, bool)
    places: list[tuple[int, int, Limb]] = []
    for _ in range(len(found) * len(found.individuals) // _EVERY):
        a, limb = int(rng.integers(len(found.individuals))), limbs[int(rng.integers(len(limbs)))]
        length = int(rng.integers(2, 12))
        first = int(rng.integers(5, max(6, len(found) - length - 5)))
        left, right, part = list(limb.left), list(limb.right), slice(first, first + length)
        if wrong[part, a][:, left].any():
            continue
        raw[part, a, left], raw[part, a, right] = raw[part, a, right].copy(), raw[part, a, left].copy()
        wrong[part, a, left] = wrong[part, a, right] = True
        known = np.isfinite(raw[part, a][:, left + right]).all(axis=(1, 2))
        places += [(first + int(t), a, limb) for t in np.flatnonzero(known)]
    clean = found.with_(points=raw, raw=raw, changed=np.zeros_like(found.changed))
    changed = repair_swaps(clean, skeleton).changed & SWAPPED > 0
    right = {True: [], False: []}
    for t, a, limb in places:
        right[_apart(raw[t, a], limb)].append(bool(changed[t, a, list(limb.left)].all()))
    seen = np.isfinite(raw).all(axis=-1).any(axis=2)
    return {
        "repaired": float(np.mean(right[True])) if right[True] else np.nan,
        "planted": len(right[True]),
        "merged repaired": float(np.mean(right[False])) if right[False] else np.nan,
        "merged": len(right[False]),
        "changed wrongly": float((changed & ~wrong).any(axis=2)[seen].mean()) if seen.any() else np.nan,
    }


def _apart(points: np.ndarray, limb: Limb) -> bool:
    """Whether it can be seen which leg is which: [K, 2] of one animal in one frame."""
    if not np.isfinite(points).all(axis=-1).any():
        return False
    gap = np.linalg.norm(points[list(limb.left)] - points[list(limb.right)], axis=-1)
    return int((gap > _APART * size_of(points)).sum()) >= _PAIRS


def noisy(truth: Tracks, rng: np.random.Generator) -> Tracks:
    """The true points as a model might say them that errs by chance alone."""
    points = truth.points.copy()
    for t, a in np.argwhere(truth.known.any(axis=2)):
        points[t, a] += rng.normal(0, _NOISE * size_of(points[t, a]), points[t, a].shape)
    return truth.with_(points=points, raw=points)


def followed(found: Tracks, truth: Tracks, match: np.ndarray) -> Tracks:
    """What was found of the true animals, each in the place of its own."""
    points, raw = np.full(truth.points.shape, np.nan), np.full(truth.points.shape, np.nan)
    sure = np.full(truth.confidence.shape, np.nan)
    for t, a in np.argwhere(match >= 0):
        f = match[t, a]
        points[t, a], raw[t, a], sure[t, a] = found.points[t, f], found.raw[t, f], found.confidence[t, f]
    return truth.with_(points=points, raw=raw, confidence=sure)


def smoothed(tracks: Tracks, truth: Tracks, falls: list[dict]) -> tuple[dict, dict]:
    """What :func:`smoothing` says of visible points: of all, and of those that are right."""
    hidden = truth.confidence != 1
    raw, points, told = tracks.raw.copy(), tracks.points.copy(), truth.points.copy()
    raw[hidden] = points[hidden] = told[hidden] = np.nan
    video = Compared(truth.index, truth.times, told, raw, points, falls)
    sizes = np.array([[size_of(pose) if np.isfinite(pose).any() else np.nan for pose in row] for row in truth.points])
    return smoothing(video), smoothing(where_right(video, _RIGHT * sizes))


def share(right: dict[tuple[int, int], list[bool]], places: Sequence[tuple[int, int]]) -> float:
    """Share of right points in some frames of animals."""
    points = [point for place in places for point in right[place]]
    return float(np.mean(points)) if points else np.nan


def scores(
    found: Tracks,
    truth: Tracks,
    falls: list[dict],
    given: dict[tuple[int, int], list[bool]],
    skeleton: Skeleton,
    rng: np.random.Generator,
) -> dict[str, dict[str, float]]:
    """All figures of one video; ``falls`` as in :class:`Compared`, ``given`` of :func:`given_boxes`."""
    present = np.isfinite(truth.points).all(axis=-1).sum(axis=2) >= 13
    match = matched(found, truth)
    tracks = followed(found, truth, match)
    shown = [(int(t), int(a)) for t, a in np.argwhere(present)]
    here = [place for place in shown if match[place] >= 0]
    close = {(t, a): close_points(tracks.points[t, a], truth, t, a) for t, a in shown}
    pose = {
        "found": len(here) / len(shown),
        "IDF1": idf1(match, found, present),
        "animals": len(found.individuals),
        "PCK@0.1": share(close, shown),
        "PCK@0.1 with true boxes": share(given, shown),
        "PCK@0.1 where found": share(close, here),
        "PCK@0.1 where found with true boxes": share(given, here),
    }
    noise = noisy(truth, rng)
    every, right = smoothed(tracks, truth, falls)
    chance, _ = smoothed(smooth(repair_swaps(noise, skeleton)), truth, falls)
    exact, _ = smoothed(smooth(repair_swaps(truth, skeleton)), truth, falls)
    return {
        "animals": pose,
        "smoothing": every,
        "smoothing where the model is right": right,
        "smoothing of true points with noise": chance,
        "smoothing of true points": exact,
        **mean([{"exchanges": planted(tracks, skeleton, rng)} for _ in range(_DRAWS)]),
        **mean([{"exchanges in true points with noise": planted(noise, skeleton, rng)} for _ in range(_DRAWS)]),
    }


def given_boxes(film: Path, truth: Tracks, model: Sequence[str]) -> dict[tuple[int, int], list[bool]]:
    """Whether each visible point is right within 0.1 with the true boxes, by frame and animal."""
    from equistera.dataset.boxes import box_around
    from equistera.mm.prediction.predict import Predictor
    from equistera.named_models import members
    from equistera.video import VideoFrames

    ((config, checkpoint),) = members(list(model))
    predictor, right = Predictor(config, checkpoint), {}
    for frame in VideoFrames(film, None).frames():
        t = frame.number
        here = [a for a in range(len(truth.individuals)) if np.isfinite(truth.points[t, a, :, 0]).sum() >= 13]
        boxes = [box_around(truth.points[t, a][np.isfinite(truth.points[t, a, :, 0])], *truth.size) for a in here]
        for a, pose in zip(here, predictor.poses([(frame.image, box) for box in boxes]), strict=True):
            right[t, a] = close_points(pose.points, truth, t, a)
    return right


def close_points(points: np.ndarray, truth: Tracks, t: int, a: int) -> list[bool]:
    """Whether each visible point, [K, 2], is within 10 % of the true box' longer side of the truth."""
    gap = np.linalg.norm(points - truth.points[t, a], axis=-1)[truth.confidence[t, a] == 1]
    return (gap <= 0.1 * size_of(truth.points[t, a])).tolist()


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    films = render(args.films)
    analysed(films, args)
    skeleton, rows = skeletons.load(skeletons.DEFAULT), {}
    for number, film in enumerate(films):
        truth = files.read(film.with_suffix(".truth.csv"))
        told = json.loads(film.with_suffix(".truth.json").read_text(encoding="utf-8"))["animals"]
        found = files.read(args.analysed / f"{film.stem}.csv", skeleton)
        falls = [told[name]["footfalls"] for name in truth.individuals]
        given = given_boxes(film, truth, args.model)
        rows[film.stem] = row = scores(found, truth, falls, given, skeleton, np.random.default_rng([0, number]))
        print(film.stem, " ".join(f"{key} {value:.3f}" for key, value in row["animals"].items()), flush=True)
    means = {group: mean([row for name, row in rows.items() if ("crossing" in name) == crossing])
             for group, crossing in (("one horse", False), ("crossings", True))}  # fmt: skip
    for group, parts in means.items():
        for part, values in parts.items():
            print(f"\n{group}, {part}: mean")
            print("\n".join(f"  {key:<40} {value:.3f}" for key, value in values.items()))
    write_json(args.out / "results.json", _told({"videos": rows, "means": means}), indent=1)


def _told(values):
    """NaN as null, for JSON."""
    if isinstance(values, dict):
        return {key: _told(value) for key, value in values.items()}
    return None if np.isnan(values) else values


def mean(rows: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Of videos, each counting the same; of those that have a figure at all."""
    result: dict[str, dict[str, float]] = {}
    for part, values in rows[0].items():
        table = np.array([list(row[part].values()) for row in rows], dtype=float)
        known = np.isfinite(table)
        total = np.where(known, table, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        result[part] = dict(zip(values, np.where(known.any(axis=0), total, np.nan).tolist(), strict=True))
    return result


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
