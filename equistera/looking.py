"""What the tools that look at pictures have in common: which model, which detector, how they compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from equistera import inputs
from equistera.checkpoints import DETECTORS, detector_weights
from equistera.errors import UserError
from equistera.evaluation.calibration import ONE_VIEW
from equistera.exported import is_exported
from equistera.words import near

#: Sides of crops that are averaged over, as shares of the usual crop's.
LEAST, MOST = 0.5, 2.0


@dataclass(frozen=True)
class Detector:
    """A detector that was asked for.

    Attributes:
        kind: A key of :data:`DETECTORS`; None for one that ``tools/train.py`` has trained.
        weights: Its file, which is there.
    """

    kind: str | None
    weights: Path


@dataclass(frozen=True, kw_only=True)
class DetectorOptions:
    """``--det`` and what goes with it."""

    det: str | None = None
    det_weights: str | None = None
    det_class: tuple[str, ...] | None = None
    det_thr: float | None = None

    def detector(self) -> Detector | None:
        """The detector, or None.

        Raises:
            UserError: Its weights are missing, or an option has no meaning beside the others.
        """
        beside = {"--det-weights": self.det_weights, "--det-class": self.det_class, "--det-thr": self.det_thr}
        given = [name for name, value in beside.items() if value is not None]
        if self.det in (None, "none"):
            if given:
                raise UserError(f"{' and '.join(given)} without --det: which detector is meant?")
            return None
        if self.det_thr is not None and not 0 < self.det_thr <= 1:
            raise UserError(f"--det-thr must be above 0 and at most 1, found {self.det_thr:g}")
        if self.det in DETECTORS:
            if self.det_weights is not None:
                inputs.file(self.det_weights)
            return Detector(self.det, detector_weights(self.det, self.det_weights))
        path = Path(self.det)
        path = path / "best.pth" if path.is_dir() else path
        if not path.is_file():
            raise UserError(
                f"--det {self.det}: no such detector or file{near(path)}",
                hint=f"It is {', '.join(DETECTORS)}, none, or the work dir or weights of one that was trained: "
                "tools/train.py configs/rtmdet_tiny_animal.py",
            )
        if is_exported(path):
            raise UserError(
                f"--det {path}: an exported network finds no animals here: it cannot look a second time, more closely",
                hint="Give the checkpoint or work dir of a detector",
            )
        if ignored := [name for name in given if name != "--det-thr"]:
            raise UserError(f"{' and '.join(ignored)}: {path} is the weights, and knows one class of animals")
        return Detector(None, path)


@dataclass(frozen=True, kw_only=True)
class LookOptions(DetectorOptions):
    """Options of ``tools/visualize.py`` and ``tools/analyze.py``."""

    skeleton: str | None = None
    conf: float | None = None
    overwrite: bool = False
    batch_size: int = 16
    flip_test: bool = False
    scales: list[float] | None = None
    amp: bool | None = None
    device: str | None = None
    cfg_options: list[str] = field(default_factory=list)

    def refuse_impossible(self) -> None:
        """Refuses values that none can be.

        Raises:
            UserError: There is one.
        """
        if self.batch_size < 1:
            raise UserError(f"--batch-size must be at least 1, found {self.batch_size}")
        scales_of(self.scales)


def scales_of(given: Sequence[float] | None) -> tuple[float, ...]:
    """``--scales`` in ascending order; 1 alone where it is not given.

    Raises:
        UserError: A crop would be less than half or more than twice as large as the usual one, or is named twice.
    """
    if given is None:
        return ONE_VIEW
    scales = tuple(sorted(given))
    if not scales or not all(LEAST <= scale <= MOST for scale in scales) or len({*scales}) < len(scales):
        said = " ".join(f"{scale:g}" for scale in given)
        raise UserError(
            f"--scales: expected different numbers from {LEAST:g} to {MOST:g}, found {said}",
            hint="Sides of crops as shares of the usual one's, such as --scales 0.9 1 1.1",
        )
    return scales
