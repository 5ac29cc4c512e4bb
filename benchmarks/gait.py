"""What ``tools/gait.py`` measures of horses whose gait is known: 10 trots, half of them uneven, and 10 walks.

Examples:
  python benchmarks/gait.py --out work_dirs/gait
  python benchmarks/gait.py --out work_dirs/gait --model configs/demo_rtmpose_t.py work_dirs/demo/best.pth --videos 4

Without --model no pictures are drawn: the points of the renderer's horses are projected as its camera sees them, and
measured as they are and with noise of 1 % and 2 % of the body length that lasts 0.15 s, smoothed as tools/analyze.py
does. With it the videos are rendered and go through tools/analyze.py. For each measure: how far off it is, half of its
95 % interval, and how often that holds what is true. A verdict is wrong where the horse is even in that, or the side is
the other one.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench_folder import PROJECT

from equistera import cli, skeleton
from equistera.errors import UserError
from equistera.files import write_json
from equistera.gait.angles import angles_of
from equistera.gait.body import LEGS, Body
from equistera.gait.measures import Gait, measure
from equistera.progress import track
from equistera.synthetic.film import Film, sample_film, write_film
from equistera.tracks import files
from equistera.tracks.smooth import smooth
from equistera.tracks.tracks import Tracks

#: Noise by share of the body length, and for how long it lasts, seconds.
NOISE, LASTS = (0.0, 0.01, 0.02), 0.15
#: MinDiff set at every second trot, body lengths.
UNEVEN = ({"head": 0.04}, {"head": -0.03, "withers": -0.01}, {"croup": 0.04}, {"head": 0.02}, {"croup": -0.03})
#: Frames a second, in turn.
RATES = (25, 30, 50, 60)
NAMES = skeleton.load(skeleton.DEFAULT).names


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for results.json, and what is rendered")
    parser.add_argument("--model", nargs="+", help="as for tools/analyze.py")
    parser.add_argument("--videos", type=cli.at_least(2), default=20, help="half of them trots")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each")
    parser.add_argument("--seed", type=int, default=4000)
    return parser.parse_args(argv)


def film_of(number: int, seed: int, seconds: float) -> Film:
    """Even numbers trot, every second of them unevenly."""
    trots = number % 2 == 0
    uneven = UNEVEN[number // 4 % len(UNEVEN)] if trots and number % 4 else None
    rate = RATES[number // 2 % len(RATES)]
    return sample_film(
        seed, number, gait="trot" if trots else "walk", seconds=seconds, fps=rate, asymmetry=uneven
    )  # fmt: skip


def points_of(film: Film) -> tuple[np.ndarray, np.ndarray]:
    """[T, K, 2] pixels and [T, K, 3] metres, of the first horse."""
    pixels, metres = [], []
    for time in track(film.times, film.name, len(film.times), "frames"):
        horse = film.horses(float(time))[0]
        metres.append([horse.keypoints[name] for name in NAMES])
        pixels.append(film.view(float(time)).project(np.array(metres[-1]))[0])
    return np.array(pixels), np.array(metres)


def truth_of(film: Film, metres: np.ndarray) -> dict[str, float]:
    """What is true of the first horse, as :mod:`equistera.gait` names it."""
    motion = film.motions[0]
    duty = motion.going.gait.stance
    times = {"duty": duty, "stance": duty * motion.period, "swing": (1 - duty) * motion.period}
    result = {f"{leg} {name}": value for leg in LEGS for name, value in times.items()} | times
    length = motion.speed * motion.period / motion.body_length
    result |= {"stride": motion.period, "length": length, "speed": length / motion.period}
    if motion.going.even:
        for part, (least, most) in motion.differences().items():
            result[f"{part} MinDiff"], result[f"{part} MaxDiff"] = least, most
    # seen exactly from the side
    flat = metres[..., [0, 2]] * [film.headings[0], -1]
    index = {name: k for k, name in enumerate(NAMES)}
    ones = np.ones(len(film.times))
    for joint, angle in angles_of(Body(film.times, flat, index, 1, ones, ones)).items():
        result[f"{joint} range"] = float(np.ptp(np.degrees(np.unwrap(np.radians(angle)))))
    return result


def noisy(film: Film, pixels: np.ndarray, share: float, seed: int) -> Tracks:
    """Tracks of the points with noise, smoothed."""
    index = {name: k for k, name in enumerate(NAMES)}
    length = np.median(np.linalg.norm(pixels[:, index["withers"]] - pixels[:, index["tail_base"]], axis=-1))
    noise = np.random.default_rng([seed, round(share * 1000)]).standard_normal(pixels.shape)
    kept = np.exp(-1 / film.fps / LASTS)
    for t in range(1, len(noise)):
        noise[t] = kept * noise[t - 1] + np.sqrt(1 - kept**2) * noise[t]
    points = (pixels + share * length * noise)[:, None]
    tracks = Tracks.of(NAMES, film.times, points, np.full(points.shape[:3], 0.95), source=film.name)
    return smooth(tracks) if share else tracks


def analysed(film: Film, out: Path, model: Sequence[str]) -> Tracks:
    """Tracks that tools/analyze.py finds in the rendered film."""
    video = out / f"{film.name}.mp4"
    write_film(film, out)
    command = [sys.executable, str(PROJECT / "tools" / "analyze.py"), *model, str(video), "--out", str(out / "found")]
    subprocess.run([*command, "--animals", "1"], check=True)
    return files.read(out / "found" / f"{film.name}.csv")


def kind_of(name: str, gait: str) -> str:
    """The row that a measure counts in: legs together, joints together."""
    last = name.rsplit(" ", 1)[-1]
    if last == "range":
        return f"{gait} {name.split(' ', 1)[1]}"
    return f"{gait} leg's {last}" if name.split(" ")[0] in LEGS else f"{gait} {name}"


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    if args.model and (args.out / "found").exists():
        raise UserError(f"{args.out / 'found'} is of an earlier call", hint="tools/analyze.py would keep its answers")
    args.out.mkdir(parents=True, exist_ok=True)
    ways = ["analysed"] if args.model else [f"noise {share:.0%}" for share in NOISE]
    rows: dict[str, dict[str, list]] = {way: defaultdict(list) for way in ways}
    counts = {way: {"measured": 0, "refused": [], "verdicts": [], "wrong": [], "silent": 0} for way in ways}
    for number in range(args.videos):
        film = film_of(number, args.seed, args.seconds)
        pixels, metres = points_of(film)
        true = truth_of(film, metres)
        for way, share in zip(ways, NOISE, strict=False):
            tracks = analysed(film, args.out, args.model) if args.model else noisy(film, pixels, share, number)
            try:
                gait = measure(tracks, tracks.individuals[0])
            except UserError as error:
                counts[way]["refused"].append(f"{film.name}: {error}")
                continue
            counts[way]["measured"] += 1
            count(film, gait, true, rows[way], counts[way])
    results = {way: {"counts": counts[way], "measures": summed(rows[way])} for way in ways}
    write_json(args.out / "results.json", results, indent=1)
    for way, result in results.items():
        told = result["counts"]
        print(f"\n{way}: {told['measured']} measured, {len(told['refused'])} refused")
        for name, row in result["measures"].items():
            print(f"  {name:28} " + "  ".join(f"{key} {value:.4g}" for key, value in row.items()))
        print(f"  verdicts: {len(told['verdicts'])}, wrong: {len(told['wrong'])}, none: {told['silent']}")
        for line in [*told["verdicts"], *(f"WRONG {each}" for each in told["wrong"]), *told["refused"]]:
            print(f"    {line}")


def count(film: Film, gait: Gait, true: dict[str, float], rows: dict[str, list], counts: dict) -> None:
    """Adds one video's measures and verdicts."""
    for name, found in gait.measures.items():
        error = found.value - true[name]
        rows[kind_of(name, film.gaits[0])].append((error, found.half, abs(error) <= found.half))
    for name, said in gait.verdicts.items():
        if said.startswith("no verdict"):
            counts["silent"] += 1
            continue
        line = f"{film.name}: {name} {gait.measures[name].value:.3f}, true {true[name]:.3f}"
        counts["verdicts"].append(line)
        if abs(true[name]) < 0.002 or np.sign(true[name]) != np.sign(gait.measures[name].value):
            counts["wrong"].append(line)


def summed(rows: dict[str, list]) -> dict[str, dict[str, float]]:
    """Mean error, mean size of the error, usual half of an interval and coverage, by measure."""
    result = {}
    for name, each in sorted(rows.items()):
        error, half, held = np.array(each, dtype=float).T
        result[name] = {
            "n": len(error),
            "bias": float(error.mean()),
            "error": float(np.abs(error).mean()),
            "largest": float(np.abs(error).max()),
            "half": float(np.median(half)),
            "covered": float(held.mean()),
        }
    return result


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
