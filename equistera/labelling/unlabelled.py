"""What ``tools/train.py --unlabelled`` is asked for, and what becomes of the pictures, animals and points there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from equistera.dataset.mixed import parse_also
from equistera.errors import UserError
from equistera.labelling.picking import STRIDE
from equistera.labelling.sure import WHY
from equistera.looking import DetectorOptions
from equistera.named_models import members_there
from equistera.words import counted, near

#: Folder in the work dir, and the name of the source.
NAME = "unlabelled"
#: COCO file among the unlabelled pictures that says where their animals are.
BOXES = "boxes.json"
#: Seconds between the frames of a film.
EVERY = STRIDE / 2


@dataclass(frozen=True, kw_only=True)
class UnlabelledOptions(DetectorOptions):
    """What the user asked for; see ``tools/train.py --help``.

    Attributes:
        unlabelled: ``DIR[=WEIGHT]``.
        teacher: Models, as :func:`equistera.named_models.members` reads them.
        sure: Confidence from which a point is sure; None: what suits the teachers.
        device: As for the training.
    """

    unlabelled: str
    teacher: Sequence[str] = ()
    sure: float | None = None
    device: str | None = None

    @property
    def source(self) -> dict:
        """``data_root`` and perhaps ``weight``, as for ``--also``.

        Raises:
            UserError: It is no folder with a weight.
        """
        found = parse_also(self.unlabelled, "--unlabelled")
        folder = Path(found["data_root"])
        if "skeleton" in found:
            raise UserError(
                f"--unlabelled {self.unlabelled}: expected DIR[=WEIGHT]", hint="The teacher's keypoints are the labels'"
            )
        if not folder.is_dir():
            raise UserError(f"--unlabelled: no such folder: {folder}{near(folder)}")
        return found

    @property
    def folder(self) -> Path:
        """Of the pictures and films."""
        return Path(self.source["data_root"])

    @property
    def boxes(self) -> Path | None:
        """The file among them that says where the animals are, if there is one.

        Raises:
            UserError: ``--det`` says so, too.
        """
        path = self.folder / BOXES
        if not path.is_file():
            return None
        if self.det not in (None, "none"):
            raise UserError(
                f"{path} and --det both say where the animals are", hint="Rename the file, or leave --det out"
            )
        return path

    def teachers(self) -> list[tuple[str, Path]]:
        """Pairs of a config and weights, which are there.

        Raises:
            UserError: None are named, some are missing, or nothing can be as sure as is asked for.
        """
        if not self.teacher:
            raise UserError("--unlabelled needs a model that labels: --teacher WORK_DIR, or CONFIG CHECKPOINT ...")
        if self.sure is not None and not 0 <= self.sure <= 1:
            raise UserError(f"--sure must be from 0 to 1, found {self.sure:g}")
        return members_there(self.teacher, "--teacher CONFIG {path} ...")


def usual_weight(taken: int, own: int) -> float:
    """Samples of the animals that were taken for each of one's own: few are not to be seen over and over.

    >>> usual_weight(50, 400), usual_weight(5000, 400)
    (0.125, 1.0)
    """
    return min(1.0, max(0.001, round(taken / max(own, 1), 3)))


@dataclass
class Tally:
    """What became of all pictures, animals and points.

    Attributes:
        left_out: Pictures and films that nobody looks at, by why.
        looked: Pictures and frames that the teachers saw.
        frames: How many of them are of films.
        empty: Of those looked at, without an animal.
        used: Of those looked at, with an animal that is taken.
        found, taken: Animals.
        points: Points of the taken animals that are taught, by name.
        refused: Points by why; those of animals that are not taken for having too few sure ones are ``few``.
        problems: Of what could not be read, a line each.
        notes: What else is worth a line.
    """

    left_out: Counter[str] = field(default_factory=Counter)
    looked: int = 0
    frames: int = 0
    empty: int = 0
    used: int = 0
    found: int = 0
    taken: int = 0
    points: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, one: Mapping) -> None:
        """Takes in what was found on a picture: ``frame`` and ``animals``, of each ``points`` and ``refused``."""
        self.looked += 1
        self.frames += one["frame"]
        self.empty += not one["animals"]
        self.used += any(animal["points"] for animal in one["animals"])
        for animal in one["animals"]:
            self.found += 1
            self.taken += bool(animal["points"])
            self.points.update(animal["points"].keys())
            self.refused.update(animal["refused"])

    def said(self) -> list[str]:
        """Lines for the terminal."""
        words = {**WHY, "few": "of animals that have too few sure points"}
        refused = [f"{self.refused[why]} {text}" for why, text in words.items() if self.refused[why]]
        return [
            *(f"note       {note}" for note in self.notes),
            f"left out   {', '.join(f'{n} {why}' for why, n in self.left_out.items()) or 'nothing'}",
            f"looked at  {counted(self.looked, 'pictures')}, {self.frames} of them frames of films; "
            f"{self.empty} without an animal",
            *([f"unreadable {len(self.problems)}:", *(f"  - {line}" for line in self.problems)] * bool(self.problems)),
            f"taken      {counted(self.taken, 'animals')} of {self.found}, on {counted(self.used, 'pictures')}",
            f"           {counted(self.points.total(), 'points')}; refused are {', '.join(refused) or 'none'}",
        ]

    def to_json(self) -> dict:
        return {key: dict(value) if isinstance(value, Counter) else value for key, value in vars(self).items()}
