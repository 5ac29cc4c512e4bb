"""Pictures a second of prediction from files to poses, and what evaluation costs over bare forward passes.

Nothing is known of where the animals are: both look at the whole picture, ours once (its second, closer look is more
work than stock does). Networks and weights are the same; ours computes as tools/visualize.py does by default, in
bfloat16 where the machine has units for it, and once more in float32.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equistera import skeleton as skeletons
from equistera.dataset.images import read_rgb
from equistera.in_order import default_threads, in_order
from equistera.mm import config as configs
from equistera.mm.data.metainfo import metainfo_of
from equistera.mm.network.precision import mixed_precision
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.split_predictions import mean_outputs
from equistera.mm.run.trainer import Trainer
from speed import stock
from speed.networks import first_batch, save_untrained
from speed.options import Options, load, with_workers
from speed.rounds import Case, in_turn, rate, synchronize

#: Pictures that go through the model together.
BATCH = 16


def benchmark(options: Options) -> list[Case]:
    """Measures every config: prediction on each size of photo, and evaluation."""
    cases = []
    for path in options.config:
        with tempfile.TemporaryDirectory() as folder:
            for size in options.sizes:
                cases.append(_prediction(options, path, size, Path(folder)))
            cases.append(_evaluation(options, path, Path(folder)))
    return cases


def _prediction(options: Options, path: str, size: tuple[int, int], folder: Path) -> Case:
    config = load(options, path, size)
    batch = options.batch_size or BATCH
    pictures = sorted((Path(config.data_root) / "images" / "train").iterdir())
    weights = save_untrained(config, folder / "weights.pth")
    contestants = {}
    for name, amp in (("ours", None), ("ours, float32", False)):
        predictor = Predictor(path, weights, options.device, cfg_options=options.cfg_options, amp=amp)
        contestants[name] = ours(predictor, pictures, batch)
    if options.with_stock:
        contestants["stock"] = stocks(config, weights, folder, pictures, batch)
    for work in contestants.values():
        work()
    aims = {"ours/stock": 2.0, "ours, float32/stock": None}
    case = Case(f"infer, {Path(path).stem}, {size[0]}x{size[1]} photos, batch {batch}", "pictures", aims=aims)
    timed = {who: lambda work=work: rate(work, options.seconds) for who, work in contestants.items()}
    return in_turn(case, timed, options.rounds)


def ours(predictor: Predictor, pictures: list[Path], batch: int) -> Callable[[], int]:
    """Work that predicts on the whole of each picture, as tools/visualize.py reads and predicts; returns how many."""
    return lambda: sum(1 for _ in predictor.poses(_whole(pictures), batch))


def averaged(predictors: list[Predictor], pictures: list[Path], batch: int) -> Callable[[], int]:
    """The same of an ensemble, averaged as tools/test.py does."""

    def work() -> int:
        done, crops = 0, _whole(pictures)
        while samples := [predictors[0].sample(*crop) for crop in itertools.islice(crops, batch)]:
            prepared = [predictor.raw_outputs(pseudo_collate(samples)) for predictor in predictors]
            done += len(predictors[0].decode(prepared[0][0], mean_outputs([raw for _, raw in prepared])))
        return done

    return work


def photos_in_order(pictures: list[Path]) -> Iterator[np.ndarray]:
    """The photos, RGB uint8 [H, W, 3], read ahead in threads as the tools do."""
    threads = default_threads()
    return iter(in_order(read_rgb, pictures, threads, ahead=2 * threads))


def _whole(pictures: list[Path]) -> Iterator[tuple[np.ndarray, tuple[int, int, int, int]]]:
    return ((image, (0, 0, image.shape[1], image.shape[0])) for image in photos_in_order(pictures))


def stocks(config: Config, weights: Path, folder: Path, pictures: list[Path], batch: int) -> Callable[[], int]:
    """MMPose's own inferencer, which takes its config from a file."""
    from mmpose.apis import MMPoseInferencer

    test = {"dataset": stock.dataset(config, None), "batch_size": batch}
    content = {"model": stock.model_config(config), "data_mode": "topdown", "test_dataloader": test}
    content["dataset_type"] = test["dataset"]["type"]
    visualizer = {"type": "PoseLocalVisualizer", "name": "visualizer"}
    file = folder / f"{Path(config.filename).stem}_stock.py"
    Config({"default_scope": "mmpose", "visualizer": visualizer, **content}).dump(file)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with contextlib.redirect_stdout(io.StringIO()):
        inferencer = MMPoseInferencer(
            pose2d=str(file), pose2d_weights=str(weights), device=device, det_model="whole_image", show_progress=False
        )
    # a checkpoint of MMPose would bring it
    inferencer.inferencer.model.dataset_meta = parse_pose_metainfo(metainfo_of(skeletons.load(config.skeleton)))
    names = [str(path) for path in pictures]
    return lambda: sum(1 for _ in inferencer(names, batch_size=batch))


def _evaluation(options: Options, path: str, folder: Path) -> Case:
    """The validation loop, metrics included, beside forward passes of as many batches of the same size."""
    config = load(options, path, options.sizes[-1], batches=4)
    workers = 0 if options.workers is None else options.workers[0]
    config.val_dataloader = with_workers(config.val_dataloader, workers)
    config.work_dir, config.experiment_name = str(folder / "run"), f"evaluation_{folder.name}"
    if options.amp:
        configs.write(config, mixed_precision())
    trainer = Trainer.from_cfg(config)
    # builds the loops, which evaluation outside of a training run needs as well
    loop, network = trainer.val_loop, trainer.network
    samples = len(loop.dataloader.dataset)
    batch = first_batch(config.val_dataloader)

    def evaluation() -> int:
        with torch.no_grad():
            network.eval()
            for data in loop.dataloader:
                loop.evaluator.process(data_samples=network.val_step(data), data_batch=data)
            loop.evaluator.evaluate(samples)
        return samples

    def forward() -> int:
        with torch.inference_mode():
            network.eval()
            prepared = network.data_preprocessor(batch, training=False)
            for _ in range(len(loop.dataloader)):
                network.raw_outputs(prepared["inputs"])
        synchronize()
        return len(loop.dataloader) * len(batch["inputs"])

    contestants = {"evaluation": evaluation, "bare forward": forward}
    for work in contestants.values():
        work()
    aims = {"evaluation/bare forward": 1 / 1.1}
    case = Case(f"evaluation, {Path(path).stem}, batch {len(batch['inputs'])}", "samples", aims=aims)
    timed = {who: lambda work=work: rate(work, options.seconds) for who, work in contestants.items()}
    return in_turn(case, timed, options.rounds)
