"""The skeleton schema: keypoint names, left-right swaps, links, sigmas, correspondences.

Configs, data sets, metrics and plots read a skeleton from here and nowhere else. The built-in ones are the JSON
files in ``equistera/skeletons``; a user's own is one more such file::

    {"keypoints": [{"name": "l_eye", "swap": "r_eye", "half": "upper", "sigma": 0.025, "weight": 1.0}, ...],
     "links": [["nose", "l_eye"], ...]}

Example:
    >>> from equistera import skeleton
    >>> skeleton.load("horse26").names[:3]
    ('nose', 'l_eye', 'r_eye')
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from equistera.errors import UserError
from equistera.skeleton_problems import problems_of
from equistera.words import did_you_mean, fold, near

BUILTIN_DIR = Path(__file__).parent / "skeletons"
DEFAULT = "horse26"

#: Names that a message about other keypoints lists one a line; of more they stand in a line.
_MANY_PROBLEMS = 8

#: RGB by side of the body, from the colour-blind-safe palette of Okabe and Ito (2008).
SIDE_COLORS = {"left": (230, 159, 0), "middle": (240, 228, 66), "right": (86, 180, 233)}


class SkeletonError(UserError):
    """A skeleton file that cannot be used; ``problems`` names everything that is wrong with it."""


@dataclass(frozen=True)
class Keypoint:
    """One point of the schema.

    Attributes:
        name: Unique name, such as ``l_knee``.
        swap: Name of its mirror image, or ``""`` for a point on the middle line.
        half: ``upper`` or ``lower``: the part a half-body crop keeps together.
        side: ``left``, ``middle`` or ``right``.
        sigma: OKS standard deviation, relative to the square root of the object's area
            (https://cocodataset.org/#keypoints-eval; COCO's ``k`` is twice this value).
        weight: Weight of the point in the training loss.
        color: RGB, 0-255.
        aliases: Other names under which annotation files carry the point.
        description: What to click on.
    """

    name: str
    swap: str
    half: str
    side: str
    sigma: float
    weight: float
    color: tuple[int, int, int]
    aliases: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True)
class Correspondence:
    """Which point of another skeleton stands for one of this skeleton's points.

    Attributes:
        target: Name in the skeleton that is asked about; in a skeleton's file, in the other one, after whom the
            table is named.
        source: Name in the skeleton that points are taken from; in a skeleton's file, its own.
        exact: True for the same anatomical point. A point that is only near may initialise a head, but never
            convert an annotation.
    """

    target: str
    source: str
    exact: bool


@dataclass(frozen=True)
class Skeleton:
    """A validated skeleton; make one with :func:`load` or :func:`parse`.

    Attributes:
        name: Built-in name, or the stem of the file it was read from.
        keypoints: K keypoints; their order is the order of every array in the project.
        links: Pairs of names to draw a limb between.
        correspondences: By name of another skeleton.
        description: One line for people.
        file: The user's own file that it was read from; None for a built-in one.
    """

    name: str
    keypoints: tuple[Keypoint, ...]
    links: tuple[tuple[str, str], ...]
    correspondences: Mapping[str, tuple[Correspondence, ...]] = field(default_factory=dict)
    description: str = ""
    file: Path | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.keypoints)

    def is_named(self, file_names: Iterable[object]) -> bool:
        """Whether names of a file stand for all of its keypoints and nothing else, in any order."""
        return {self.find(str(name)) for name in file_names} == {*self.names}

    @property
    def option(self) -> list[object]:
        """Words that name it to a tool, in a command that the user is told; none for the one that is usual."""
        return ["--skeleton", self.file or self.name] if self.file or self.name != DEFAULT else []

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(k.name for k in self.keypoints)

    @functools.cached_property
    def index(self) -> Mapping[str, int]:
        """Position of every name."""
        return {name: i for i, name in enumerate(self.names)}

    @functools.cached_property
    def sigmas(self) -> np.ndarray:
        """float64 [K], OKS sigmas."""
        return np.array([k.sigma for k in self.keypoints])

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """float64 [K], loss weights."""
        return np.array([k.weight for k in self.keypoints])

    @functools.cached_property
    def flip_indices(self) -> np.ndarray:
        """int64 [K]: ``mirrored[k] = points[flip_indices[k]]``."""
        return np.array([self.index[k.swap or k.name] for k in self.keypoints])

    @functools.cached_property
    def link_indices(self) -> np.ndarray:
        """int64 [L, 2], links as positions."""
        return np.array([[self.index[a], self.index[b]] for a, b in self.links]).reshape(-1, 2)

    @functools.cached_property
    def colors(self) -> np.ndarray:
        """uint8 [K, 3], RGB."""
        return np.array([k.color for k in self.keypoints], dtype=np.uint8)

    @functools.cached_property
    def link_colors(self) -> np.ndarray:
        """uint8 [L, 3], RGB; a limb has the colour of its end that is off the middle line."""
        ends = ((self.keypoints[self.index[a]], self.keypoints[self.index[b]]) for a, b in self.links)
        return np.array([(a if a.side != "middle" else b).color for a, b in ends], dtype=np.uint8).reshape(-1, 3)

    @functools.cached_property
    def _names_by_fold(self) -> Mapping[str, str]:
        return {fold(alias): k.name for k in self.keypoints for alias in (k.name, *k.aliases)}

    def find(self, file_name: str) -> str | None:
        """The keypoint that an annotation file calls ``file_name``, or None.

        Names are compared without regard to case, spaces, dashes and underscores, and by alias.
        """
        return self._names_by_fold.get(fold(file_name))

    def columns_of(self, file_names: Sequence[str]) -> np.ndarray:
        """Finds where an annotation file keeps each keypoint of the skeleton.

        Args:
            file_names: Keypoint names of the file's category, in the file's order; matched as by :meth:`find`.

        Returns:
            int64 [K]: ``points = file_points[columns]``.

        Raises:
            SkeletonError: Names are missing, unknown or doubled; all are listed.
        """
        column, problems = {}, []
        for i, file_name in enumerate(file_names):
            name = self.find(file_name)
            if name is None:
                problems.append(f"unknown keypoint {file_name!r}{did_you_mean(file_name, self.names)}")
            elif name in column:
                problems.append(f"keypoint {name!r} stands twice ({file_names[column[name]]!r} and {file_name!r})")
            else:
                column[name] = i
        problems += [f"missing keypoint {name!r}" for name in self.names if name not in column]
        if len(problems) > _MANY_PROBLEMS:
            unknown = [name for name in file_names if not self.find(name)]
            missing = [name for name in self.names if name not in column]
            problems = [
                f"{what}: {', '.join(names[:_MANY_PROBLEMS])}"
                + f" and {len(names) - _MANY_PROBLEMS} more" * (len(names) > _MANY_PROBLEMS)
                for what, names in (("only in the file", unknown), ("only in the skeleton", missing))
                if names
            ]
        if problems:
            raise SkeletonError(
                f"the file's keypoints are not those of skeleton {self.name!r} "
                f"({len(file_names)} in the file, {len(self)} in the skeleton):",
                problems,
                "Name the skeleton that the file is labelled in: --skeleton, or behind a folder of --also "
                "(data/ap10k:ap10k). Or convert it: tools/convert_dataset.py --help. boxes.json needs no keypoints",
            )
        return np.array([column[name] for name in self.names])

    def correspondence_from(self, source: Skeleton) -> tuple[Correspondence, ...]:
        """Points of ``source`` that stand for points of this skeleton.

        Args:
            source: The skeleton to take points from.

        Returns:
            The table written in either skeleton's file (read backwards, only its exact matches hold: a near match
            may stand for several points); where neither file has one, the points of the same name.
        """
        if self.name in source.correspondences:
            return source.correspondences[self.name]
        if source.name in self.correspondences:
            return tuple(
                Correspondence(target=c.source, source=c.target, exact=True)
                for c in self.correspondences[source.name]
                if c.exact
            )
        return tuple(Correspondence(name, name, True) for name in self.names if name in source.index)


def hex_color(color: Sequence[int]) -> str:
    """RGB, 0-255, as labelling tools write it: ``#e69f00``."""
    return "#" + "".join(f"{value:02x}" for value in color)


def builtin_names() -> list[str]:
    """Names that :func:`load` accepts without a file."""
    return sorted(path.stem for path in BUILTIN_DIR.glob("*.json"))


def builtin() -> list[Skeleton]:
    """All that :func:`load` knows without a file, by name."""
    return [load(name) for name in builtin_names()]


def load(name_or_path: str | Path) -> Skeleton:
    """Loads a built-in skeleton by name, or a user's own from a JSON file.

    Args:
        name_or_path: A name of :func:`builtin_names`, such as ``horse26``, or a path that ends in ``.json``.

    Returns:
        The validated skeleton.

    Raises:
        SkeletonError: No such skeleton, not JSON, or not a valid skeleton (all problems at once).
    """
    text = str(name_or_path)
    if not text.endswith(".json"):
        if text not in builtin_names():
            raise SkeletonError(
                f"no skeleton named {text!r}{did_you_mean(text, builtin_names())}",
                hint=f"Built-in: {', '.join(builtin_names())}. Your own: the path of a .json file.",
            )
        return _load_file(BUILTIN_DIR / f"{text}.json")
    return replace(_load_file(Path(text)), file=Path(text))


def _builtin_keypoints(name: str) -> list[str]:
    """Names of a built-in skeleton's keypoints, straight from its file (whose own tables may name others)."""
    path = BUILTIN_DIR / f"{name}.json"
    return [entry["name"] for entry in _content_of(path)["keypoints"]] if name in builtin_names() else []


def _load_file(path: Path) -> Skeleton:
    return parse(_content_of(path), name=path.stem)


def _content_of(path: Path) -> Any:
    try:
        # bytes, as for every JSON file, see equistera.dataset.coco.read_json, which stands above this module
        return json.loads(path.read_bytes())
    except OSError as error:
        raise SkeletonError(f"cannot read skeleton file {path}: {error.strerror}{near(path)}") from error
    except (ValueError, RecursionError) as error:
        raise SkeletonError(f"{path} is not JSON: {error}") from error


def parse(content: Any, name: str) -> Skeleton:
    """Validates the content of a skeleton file.

    Args:
        content: What ``json.load`` returned.
        name: Name to give the skeleton.

    Returns:
        The skeleton. A point without ``side`` takes it from its pair: the one listed first is the left one.
        A ``weight`` that is left out is 1.

    Raises:
        SkeletonError: With every problem found.
    """
    problems = problems_of(content, _builtin_keypoints)
    if problems:
        raise SkeletonError(f"skeleton {name!r} cannot be used:", problems)
    entries = content["keypoints"]
    position = {entry["name"]: i for i, entry in enumerate(entries)}

    def side_of(entry: dict) -> str:
        if not entry.get("swap") or entry["swap"] == entry["name"]:
            return entry.get("side", "middle")
        return entry.get("side", "left" if position[entry["name"]] < position[entry["swap"]] else "right")

    keypoints = tuple(
        Keypoint(
            name=entry["name"],
            swap="" if entry.get("swap") == entry["name"] else entry.get("swap", ""),
            half=entry["half"],
            side=side_of(entry),
            sigma=float(entry["sigma"]),
            weight=float(entry.get("weight", 1.0)),
            color=tuple(entry.get("color", SIDE_COLORS[side_of(entry)])),
            aliases=tuple(entry.get("aliases", ())),
            description=entry.get("description", ""),
        )
        for entry in entries
    )
    correspondences = {
        other: tuple(
            Correspondence(target, match["source"], match["match"] == "exact") for target, match in table.items()
        )
        for other, table in content.get("correspondence", {}).items()
    }
    links = tuple((a, b) for a, b in content.get("links", ()))
    return Skeleton(name, keypoints, links, correspondences, content.get("description", ""))
