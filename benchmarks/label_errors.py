"""Mistakes planted in the labels of rendered pictures: how many of them tools/find_label_errors.py finds.

Examples:
  python benchmarks/label_errors.py --out work_dirs/label_errors --minutes 20
  python benchmarks/label_errors.py --out work_dirs/label_errors --minutes 20 --init work_dirs/other/best.pth
  python benchmarks/label_errors.py --out /tmp/short --short          does it all run? a few minutes

In 400 pictures 5 % of all points are moved, in any direction, by 5 to 20 % of the animal's size (the longer side of its
box), 3 % of the legs' pairs (fore and hind each count) and 2 % of whole horses have left and right exchanged, and 1 %
of the points lie on the same point of another horse in the picture. OUT/planted.json says which.

The tool trains folds on the very labels that are wrong; they stay in OUT/found and are not trained again. For each kind
its suspects are taken in their order, as many as were planted, and counted: precision and recall are the same number
then. Beside it stand those of a random order and of what tools/verify_dataset.py lists, which may be fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from bench_folder import BenchFolder

from equistera import cli, inputs, skeleton
from equistera.files import link_or_copy, read_json, write_json
from equistera.skeleton import Skeleton
from equistera.tracks.swaps import limbs_of

CONFIG = "configs/demo_rtmpose_t.py"
#: What is planted, as a share of all points, of the legs' pairs, of animals, of points.
SHARES = {"moved": 0.05, "exchanged": 0.03, "mirrored": 0.02, "elsewhere": 0.01}
#: How far points are moved, in sizes of the animal.
REACH = (0.05, 0.20)
#: Pairs of points that make a limb a leg.
_LEG = 3


@dataclass(frozen=True)
class Planted:
    """A mistake: which animal (its annotation's id), and which of its points (their names)."""

    kind: str
    annotation: int
    points: tuple[str, ...]


def plant(coco: dict, points_of: Skeleton, seed: int = 0) -> tuple[dict, list[Planted]]:
    """Plants mistakes in labels.

    Args:
        coco: COCO content with the skeleton's points in its order.
        points_of: The skeleton.
        seed: Another seed, other mistakes.

    Returns:
        The content with them, and what they are.
    """
    rng, annotations, mirror = np.random.default_rng(seed), coco["annotations"], points_of.flip_indices
    true = np.array([one["keypoints"] for one in annotations], dtype=float).reshape(len(annotations), -1, 3)
    labels, planted = true.copy(), []
    untouched = np.ones(labels.shape[:2], dtype=bool)

    def note(kind: str, n: int, points: Sequence[int]) -> None:
        untouched[n, list(points)] = False
        planted.append(Planted(kind, annotations[n]["id"], tuple(points_of.names[k] for k in points)))

    paired = np.flatnonzero(mirror != np.arange(len(mirror)))
    for n in rng.choice(len(labels), round(SHARES["mirrored"] * len(labels)), replace=False):
        labels[n] = true[n][mirror]
        note("mirrored", n, paired.tolist())
    legs = [[*limb.left, *limb.right] for limb in limbs_of(points_of) if len(limb.left) >= _LEG]
    whole = [
        (n, leg)
        for n in np.flatnonzero(untouched.all(axis=1))
        for leg in legs
        if ((true[n, leg, 2] > 0) & (true[n, mirror[leg], 2] > 0)).sum() >= 2 * 2
    ]
    for i in rng.choice(len(whole), round(SHARES["exchanged"] * len(labels) * len(legs)), replace=False):
        n, leg = whole[i]
        if untouched[n].all():
            labels[n, leg] = true[n, mirror[leg]]
            note("exchanged", n, leg)
    # an animal whose sides are wrong has no other mistake
    free = untouched & untouched.all(axis=1, keepdims=True) & (true[..., 2] > 0)
    total = int((true[..., 2] > 0).sum())
    others = _others(annotations)
    choices = [(n, k, m) for n, k in np.argwhere(free) for m in others[n] if true[m, k, 2] > 0]
    for n, k, m in (choices[i] for i in rng.permutation(len(choices))):
        if sum(one.kind == "elsewhere" for one in planted) < round(SHARES["elsewhere"] * total) and untouched[n, k]:
            labels[n, k, :2] = true[m, k, :2]
            note("elsewhere", n, [k])
    sizes = {image["id"]: (image["width"], image["height"]) for image in coco["images"]}
    left = round(SHARES["moved"] * total)
    for n, k in rng.permutation(np.argwhere(free & untouched)):
        if left:
            angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(*REACH) * max(annotations[n]["bbox"][2:])
            place = true[n, k, :2] + reach * np.array([np.cos(angle), np.sin(angle)])
            if (place >= 0).all() and (place < sizes[annotations[n]["image_id"]]).all():
                labels[n, k, :2] = place
                note("moved", n, [k])
                left -= 1
    entries = [{**one, "keypoints": own.ravel().tolist()} for one, own in zip(annotations, labels, strict=True)]
    return {**coco, "annotations": entries}, planted


def _others(annotations: Sequence[dict]) -> list[list[int]]:
    """For each annotation the others of its picture."""
    together: dict = {}
    for n, one in enumerate(annotations):
        together.setdefault(one["image_id"], []).append(n)
    return [[m for m in together[one["image_id"]] if m != n] for n, one in enumerate(annotations)]


def scores(planted: Sequence[Planted], suspects: Sequence[Mapping], checked: Mapping[str, list], total: dict) -> list:
    """A row for each kind: planted, precision at that number of the tool, of a random order, of the verification.

    Args:
        planted: The truth.
        suspects: The tool's, in order.
        checked: By kind what the verification lists: annotation and points, in its order.
        total: By kind the number of things that a random order draws from.
    """
    rows = []
    for kind in SHARES:
        truth = {_key(kind, one.annotation, one.points) for one in planted if one.kind == kind}
        told = [_key(kind, one["annotation"], one["points"]) for one in suspects if one["kind"] == kind]
        verified = list(dict.fromkeys(_key(kind, *one) for one in checked[kind]))
        count = len(truth)
        rows.append(
            {
                "kind": kind,
                "planted": count,
                "listed": len(told),
                "precision": len(truth & {*told[:count]}) / max(count, 1),
                "random": count / max(total[kind], 1),
                "verify": len(truth & {*verified[:count]}) / max(count, 1),
                "verify_listed": len(verified),
            }
        )
    wrong = {(one.annotation, point) for one in planted for point in one.points}
    first = [one for one in suspects if one["kind"] in SHARES][: len(planted)]
    right = sum(any((one["annotation"], point) in wrong for point in one["points"]) for one in first)
    rows.append({"kind": "all in one order", "planted": len(planted), "precision": right / max(len(planted), 1)})
    return rows


def _key(kind: str, annotation: int, points: Sequence[str]) -> tuple:
    return (annotation,) if kind == "mirrored" else (annotation, *sorted(points))


def verified(ann_file: Path, folder: Path, points_of: Skeleton) -> dict[str, list]:
    """What tools/verify_dataset.py lists that is of each kind: annotation ids and points."""
    from equistera.dataset.verify.command import verify

    result = verify([ann_file], points_of, image_dirs=[folder], decode=False)
    ids = [one["id"] for one in result.files[0].content["annotations"]]
    found: dict[str, list] = {kind: [] for kind in SHARES}
    for item in (item for finding in result.findings for item in finding.items if item.annotation is not None):
        names = [points_of.names[k] for k in item.points]
        if item.code == "swap":
            kind = "mirrored" if "the whole animal" in item.text else "exchanged"
            found[kind].append((ids[item.annotation], names))
        else:
            for kind in ("moved", "elsewhere"):
                found[kind] += [(ids[item.annotation], [name]) for name in names]
    return found


def table_of(rows: Sequence[Mapping]) -> str:
    """The rows as Markdown."""
    lines = ["| planted | number | found among as many first | random order | verify_dataset.py (listed) |"]
    lines.append("|---|---|---|---|---|")
    for row in rows:
        beside = (
            [f"{row['random']:.3f}", f"{row['verify']:.2f} ({row['verify_listed']})"] if "random" in row else ["", ""]
        )
        lines.append(f"| {row['kind']} | {row['planted']} | {row['precision']:.3f} | {' | '.join(beside)} |")
    return "\n".join(lines)


def parse_args(argv: Sequence[str]):
    parser = cli.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for data, folds and results")
    parser.add_argument("--pictures", type=cli.at_least(20), default=400)
    parser.add_argument("--folds", type=cli.at_least(2), default=5)
    parser.add_argument("--minutes", type=float, default=10.0, help="for the training of each fold")
    parser.add_argument("--init", type=inputs.checkpoint, help="weights that folds start from (default: random ones)")
    parser.add_argument("--config", default=CONFIG)
    parser.add_argument("--seed", type=int, default=0, help="of the mistakes")
    parser.add_argument("--short", action="store_true", help="a few pictures and steps: shows that it runs, no more")
    parser.add_argument("--threads", type=cli.at_least(1), default=2)
    inputs.add_common(parser, "--device", "--cfg-options")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    args = parse_args(argv)
    bench = BenchFolder(args.out, args.threads, args.device or "cpu")
    points_of = skeleton.load(skeleton.DEFAULT)
    count, folds = (24, 2) if args.short else (args.pictures, args.folds)
    rendered = bench.horses("rendered", 1500, {"train": count, "val": 4, "test": 4})
    root = bench.out / f"labels{args.seed}"
    ann_file, folder = root / "annotations" / "train.json", root / "images" / "train"
    coco, planted = plant(read_json(rendered / "annotations" / "train.json"), points_of, args.seed)
    if not ann_file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for picture in (rendered / "images" / "train").iterdir():
            if not (folder / picture.name).exists():
                link_or_copy(picture, folder / picture.name)
        write_json(root / "planted.json", [asdict(one) for one in planted], indent=1)
        write_json(ann_file, coco)
    words: list[object] = [
        "--data-root",
        root,
        "--out",
        bench.out / f"found{args.seed}",
        "--folds",
        folds,
        "--overwrite",
    ]
    options = [*args.cfg_options]
    if args.short:
        options += ["train_cfg.max_epochs=1", "train_cfg.val_interval=1", "train_dataloader.batch_size=4"]
        options += ["codec.input_size=(64,64)"]
    else:
        words += ["--max-time", f"{round(60 * args.minutes)}s"]
    words += ["--amp", *(["--init", Path(args.init).resolve()] if args.init else [])]
    words += [*(["--device", args.device] if args.device else []), *(["--cfg-options", *options] if options else [])]
    seconds = bench.call(
        bench.out / f"found{args.seed}.log", "tools/find_label_errors.py", Path(args.config).resolve(), *words
    )
    suspects = read_json(bench.out / f"found{args.seed}" / "suspects.json")["suspects"]
    labelled = sum(v > 0 for one in coco["annotations"] for v in one["keypoints"][2::3])
    animals = len(coco["annotations"])
    legs = sum(len(limb.left) >= _LEG for limb in limbs_of(points_of))
    total = {"moved": labelled, "elsewhere": labelled, "mirrored": animals, "exchanged": legs * animals}
    rows = scores(planted, suspects, verified(ann_file, folder, points_of), total)
    about = {"pictures": count, "animals": animals, "folds": folds, "minutes": args.minutes, "init": args.init}
    bench.write({"settings": {**about, "seed": args.seed}, "seconds": seconds, "rows": rows}, table_of(rows))


if __name__ == "__main__":
    raise SystemExit(cli.run(main))
