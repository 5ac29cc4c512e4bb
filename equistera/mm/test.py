"""Scores a checkpoint on a split: the work behind ``tools/test.py``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mmengine.runner import Runner

from equistera.dataset.coco import atomic_write, load_annotations, write_json
from equistera.dataset.images import check_inside, read_rgb
from equistera.dataset.ready import check_split, missing_files
from equistera.evaluation.constant_guess import mean_pose
from equistera.evaluation.metrics import Options as ScoringOptions
from equistera.evaluation.metrics import Scored
from equistera.evaluation.report import report
from equistera.evaluation.table import format_table
from equistera.mm import config as configs
from equistera.mm.metric import to_result
from equistera.mm.predict import Predictor
from equistera.mm.preflight import default_workers
from equistera.progress import track

#: Enough for two digits of a 95 % interval, in a fraction of a second.
BOOTSTRAP_DRAWS = 1000


@dataclass(frozen=True)
class TestOptions:
    """What the user asked for; see ``tools/test.py --help``."""

    config: str
    checkpoint: str
    data_root: str | None = None
    skeleton: str | None = None
    split: str = "test"
    out: str | None = None
    report: bool = False
    flip_test: bool = False
    device: str | None = None
    cfg_options: list[str] = field(default_factory=list)


def test(options: TestOptions) -> dict:
    """Evaluates, prints a table and writes ``metrics.json`` and ``predictions.json``.

    Args:
        options: What the user asked for.

    Returns:
        The metrics, see :func:`equistera.evaluation.metrics.evaluate`.

    Raises:
        UserError: Data or checkpoint cannot be used.
    """
    predictor = Predictor(
        options.config,
        options.checkpoint,
        device=options.device,
        flip_test=options.flip_test,
        cfg_options=options.cfg_options,
        data_root=str(Path(options.data_root).resolve()) if options.data_root else None,
        skeleton=configs.skeleton_argument(options.skeleton),
    )
    config = predictor.config
    dataset = config.val_dataloader.dataset
    if options.split != "val":
        dataset.ann_file = f"annotations/{options.split}.json"
        dataset.data_prefix.img = f"images/{options.split}"
    root = Path(config.data_root)
    missing_files(root, [dataset.ann_file])
    ground_truth = check_split(root / dataset.ann_file, root / dataset.data_prefix.img, predictor.skeleton)
    if config.val_dataloader.num_workers is None:
        config.val_dataloader.num_workers = default_workers()
    loader = Runner.build_dataloader(config.val_dataloader)
    batches = track(loader, f"testing on {options.split}", unit="batches")
    results = [to_result(sample) for batch in batches for sample in predictor.predict_samples(batch)]
    train_file = root / config.train_dataloader.dataset.ann_file
    guess = (
        mean_pose(load_annotations(train_file, predictor.skeleton), predictor.skeleton)
        if train_file.is_file()
        else None
    )
    scored = Scored.of(
        ground_truth, results, predictor.skeleton, ScoringOptions(draws=BOOTSTRAP_DRAWS, mean_pose=guess)
    )
    metrics = scored.metrics
    out = Path(options.out) if options.out else Path(options.checkpoint).resolve().parent / options.split
    write_json(
        out / "metrics.json", {"checkpoint": str(options.checkpoint), "split": options.split, **metrics}, indent=1
    )
    write_json(out / "predictions.json", results)
    if options.report:
        folder = root / dataset.data_prefix.img
        names = {image["id"]: image["file_name"] for image in ground_truth["images"]}
        page = report(
            {Path(options.checkpoint).stem: scored},
            lambda image_id: read_rgb(check_inside(folder, names[image_id], links=True)),
            title=f"{options.checkpoint} on {options.split}",
        )
        with atomic_write(out / "report.html") as file:
            file.write(page)
    print(format_table(metrics))
    written = ["metrics.json", "predictions.json", *(["report.html"] if options.report else [])]
    print(f"written: {', '.join(str(out / name) for name in written)}")
    return metrics
