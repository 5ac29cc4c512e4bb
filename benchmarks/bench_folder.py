"""The folder of a benchmark that trains: data made once, the project's scripts with their logs, results at the end."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scipy import stats

from equistera.errors import UserError
from equistera.files import link_or_copy, read_json, write_json

PROJECT = Path(__file__).resolve().parents[1]
#: A network that trains in seconds, to show that a benchmark runs.
TINY = (
    "codec.input_size=(64,64)",
    "model.backbone.widen_factor=0.125",
    "model.head.in_channels=64",
    "model.head.gau_cfg.hidden_dims=32",
    "model.head.gau_cfg.s=16",
    "train_dataloader.num_workers=0",
    "val_dataloader.num_workers=0",
)


class BenchFolder:
    """Data, runs and results of one benchmark.

    Args:
        out: The folder; made if it is missing.
        threads: CPU threads of each script that runs.
        device: ``cpu``, ``cuda`` or ``cuda:N``, for the results' record.
    """

    def __init__(self, out: Path, threads: int, device: str):
        self.out, self.threads, self.device = out.resolve(), threads, device
        self.out.mkdir(parents=True, exist_ok=True)

    #: Seconds that a script may take; None: as long as it likes.
    patience: float | None = None

    def call(self, log: Path, script: str, *arguments: object) -> float:
        """Runs a script of the project; what it prints goes to ``log``.

        Returns:
            Its seconds.

        Raises:
            UserError: It failed, or took longer than :attr:`patience`.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
        command = [sys.executable, str(PROJECT / script), *map(str, arguments)]
        began = time.monotonic()
        with log.open("w", encoding="utf-8") as file:
            try:
                done = subprocess.run(
                    command, cwd=self.out, env=environment, stdout=file, stderr=subprocess.STDOUT, timeout=self.patience
                )
            except subprocess.TimeoutExpired as error:
                raise UserError(f"{script} took more than {self.patience:g} s; its log is {log}") from error
        if done.returncode:
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
            raise UserError(f"{script} ended with {done.returncode}; its log is {log}:", last)
        return time.monotonic() - began

    def claim(self, settings: dict) -> None:
        """Says in the folder what it is of, or makes sure that it is of the same.

        Raises:
            UserError: It holds a benchmark with other settings.
        """
        record = self.out / "settings.json"
        if record.exists() and read_json(record) != settings:
            raise UserError(f"{self.out} holds a benchmark with other settings", hint="Name another folder with --out")
        write_json(record, settings, indent=1)

    def horses(
        self, name: str, seed: int, pictures: Mapping[str, int], skeleton: str = "horse26", render: Sequence[str] = ()
    ) -> Path:
        """A data set of synthetic horses on pictures of 640x480, made once.

        Args:
            name: Of its folder.
            seed: Of the pictures.
            pictures: Their number by split.
            skeleton: The points to label.
            render: Further words for ``tools/make_demo_data.py``.
        """
        folder = self.out / name
        if not (folder / "annotations" / "val.json").exists():
            # annotations are written last: without them the pictures are of a run that was stopped
            shutil.rmtree(folder, ignore_errors=True)
            counts = [word for split, count in pictures.items() for word in (f"--{split}", count)]
            options = ["--seed", seed, "--skeleton", skeleton, "--size", "640x480", "--workers", self.threads, *render]
            log = folder.with_name(f"{folder.name}.log")
            self.call(log, "tools/make_demo_data.py", "--out", folder, *counts, *options)
        return folder

    def write(self, content: dict, table: str, say: bool = True) -> None:
        """Writes ``results.json``, the machine included, and ``results.md``; prints the table."""
        machine = f"{platform.machine()}, {self.threads} CPU threads, {self.device}"
        write_json(self.out / "results.json", {"machine": machine, **content}, indent=1)
        (self.out / "results.md").write_text(table + "\n", encoding="utf-8")
        if say:
            print(table)


def subset(ann_file: Path, path: Path, pictures: Iterable[str]) -> int:
    """Writes the annotations of some pictures of a file, its names kept; returns the number of animals on them."""
    coco, wanted = read_json(ann_file), set(pictures)
    images = [image for image in coco["images"] if image["file_name"] in wanted]
    ids = {image["id"] for image in images}
    annotations = [a for a in coco["annotations"] if a["image_id"] in ids]
    write_json(path, {**coco, "images": images, "annotations": annotations})
    return len(annotations)


def without_labels(ann_file: Path, images: Path, folder: Path, pictures: Iterable[str]) -> None:
    """Makes a folder of some pictures of a file that says where their animals are, as a detector would, and no more."""
    names = {*pictures}
    folder.mkdir(parents=True)
    for name in names:
        link_or_copy(images / name, folder / name, symbolic=True)
    boxes = folder / "boxes.json"
    subset(ann_file, boxes, names)
    coco = read_json(boxes)
    kept = ("id", "image_id", "category_id", "bbox")
    entries = [{key: annotation[key] for key in kept} for annotation in coco["annotations"]]
    kinds = [{"id": category["id"], "name": category["name"]} for category in coco["categories"]]
    write_json(boxes, {"images": coco["images"], "annotations": entries, "categories": kinds})


def with_interval(differences: Sequence[float]) -> str:
    """Mean and its 95% interval by Student's t, as for differences of pairs."""
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return f"{mean:+.3f}"
    half = stats.t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
    return f"{mean:+.3f} ({mean - half:+.3f} to {mean + half:+.3f})"


def once_evaluated(epochs: int) -> list[str]:
    """Overrides for a run of this length; nothing is evaluated before its end, so no epoch is chosen by its score."""
    return [f"train_cfg.max_epochs={epochs}", f"train_cfg.val_interval={epochs}"]
