"""Scores a checkpoint on a split: the work behind ``tools/test.py``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mmengine.runner import Runner

from equistera.dataset.coco import write_json
from equistera.dataset.ready import check_split, missing_files
from equistera.evaluation.metrics import evaluate
from equistera.evaluation.table import format_table
from equistera.mm import config as configs
from equistera.mm.metric import to_result
from equistera.mm.predict import Predictor
from equistera.mm.preflight import default_workers
from equistera.progress import track

SPLITS = ("val", "test")


@dataclass(frozen=True)
class TestOptions:
    """What the user asked for; see ``tools/test.py --help``."""

    config: str
    checkpoint: str
    data_root: str | None = None
    skeleton: str | None = None
    split: str = "test"
    out: str | None = None
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
    metrics = evaluate(ground_truth, results, predictor.skeleton)
    out = Path(options.out) if options.out else Path(options.checkpoint).resolve().parent / options.split
    write_json(
        out / "metrics.json", {"checkpoint": str(options.checkpoint), "split": options.split, **metrics}, indent=1
    )
    write_json(out / "predictions.json", results)
    print(format_table(metrics))
    print(f"written: {out / 'metrics.json'}, {out / 'predictions.json'}")
    return metrics
