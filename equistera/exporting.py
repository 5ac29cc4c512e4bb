"""What ``tools/export.py`` is asked for, and whether that can be done: refused before a network is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from equistera.errors import UserError
from equistera.exported import ENDING, require
from equistera.named_models import members_there
from equistera.outputs import check_targets

#: Of each format the endings of its files, the first one being named, and the packages that write and run it.
FORMATS = {
    "onnx": ((ENDING,), ("onnx", "onnxscript", "onnxruntime")),
    "openvino": ((".xml", ".bin"), ("onnx", "onnxscript", "openvino")),
    "torchscript": ((".pt",), ()),
}
PLAIN = "mmpose"
#: Whose files these are.
TOOL = "export"
#: Crops that a graph is checked on, and quantised with.
MOST_CROPS = 200
#: Pixels of the crop by which a point of the graph may differ.
TOLERANCE = 0.5


@dataclass(frozen=True)
class ExportOptions:
    """What the user asked for; see ``tools/export.py --help``.

    Attributes:
        models: As :func:`equistera.named_models.members` takes them.
    """

    models: list[str]
    to: str
    out: str
    int8: bool = False
    dynamic_batch: bool = False
    flip: bool = False
    check: str | None = None
    tolerance: float | None = None
    data_root: str | None = None
    skeleton: str | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class ExportJob:
    """What is to be done; make it with :func:`settled`.

    Attributes:
        options: What the user asked for.
        models: Configs and their checkpoints; several are averaged.
        files: What is written: the network's, then what lies beside it.
    """

    options: ExportOptions
    models: list[tuple[str, Path]]
    files: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """The file that the others belong to."""
        return self.files[0]

    @property
    def card(self) -> Path:
        """The model card's."""
        return self.path.with_suffix(".model_card.md")

    @property
    def tolerance(self) -> float:
        """Pixels of the crop."""
        return TOLERANCE if self.options.tolerance is None else self.options.tolerance


def settled(options: ExportOptions) -> ExportJob:
    """What the options come to; nothing is written.

    Raises:
        UserError: Something is missing or in the way, or options contradict each other.
    """
    models = members_there(options.models)
    if options.to == PLAIN:
        _refuse_of_graphs(options, models)
        return ExportJob(options, models, (Path(options.out),))
    (ending, *others), packages = FORMATS[options.to]
    if options.int8 and options.to != "onnx":
        raise UserError(f"--int8 is for --to onnx; --to {options.to} has full precision")
    out = Path(options.out)
    if out.suffix.lower() != ending:
        raise UserError(f"--out {out}: a file of --to {options.to} ends in {ending}")
    require(*packages)
    job = ExportJob(options, models, (out, *map(out.with_suffix, others)))
    beside = [job.card, *([out.with_suffix(".calibration.json")] if ending == ENDING else [])]
    read = [path for pair in models for path in pair]
    check_targets("--out", [*job.files, *beside], inputs=read, overwrite=options.overwrite, tool=TOOL)
    return job


def _refuse_of_graphs(options: ExportOptions, models: list[tuple[str, Path]]) -> None:
    given = {
        "--int8": options.int8,
        "--dynamic-batch": options.dynamic_batch,
        "--flip": options.flip,
        "--check": options.check,
        "--tolerance": options.tolerance is not None,
        "--data-root": options.data_root,
    }
    if said := [name for name, value in given.items() if value]:
        raise UserError(f"{', '.join(said)}: not for --to {PLAIN}, which writes a network's config and weights alone")
    if len(models) > 1:
        raise UserError(f"--to {PLAIN} writes one network, found {len(models)}", hint="--to onnx averages several")
