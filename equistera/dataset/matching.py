"""Which of a skeleton's keypoints each name of an annotation file stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from equistera import skeleton as skeletons
from equistera.dataset.formats import animalpose
from equistera.dataset.formats.records import HORSE, Export
from equistera.errors import UserError
from equistera.files import read_json
from equistera.skeleton import Skeleton
from equistera.words import did_you_mean


@dataclass(frozen=True)
class NameMatch:
    """The result of :func:`match_names`.

    Attributes:
        target: Name in the skeleton, by name in the file.
        ignored: The file's points that are left out.
        missing: The skeleton's points that the file does not have, in its order.
        public: Name of the public skeleton that the file's names are those of, or ``""``.
    """

    target: Mapping[str, str]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]
    public: str = ""


def match_names(
    file_names: Sequence[str], skeleton: Skeleton, keypoint_map: Mapping[str, str | None] | None = None
) -> NameMatch:
    """Finds the keypoint that each of a file's names stands for.

    A file with all the names of a public skeleton (AP-10K, AnimalPose, Horse-10) is reduced to the points that are
    exactly the same. Otherwise the map decides, then the name itself, compared as in
    :meth:`equistera.skeleton.Skeleton.find`. Nothing is guessed: a near miss is an error that names the likely
    keypoint.

    Args:
        keypoint_map: From :func:`read_keypoint_map`; a name that maps to None is left out.

    Raises:
        UserError: Names are unknown, or two of them stand for the same keypoint; all are listed.
    """
    keypoint_map, public = keypoint_map or {}, None
    if not keypoint_map and (public := public_skeleton(file_names, skeleton)):
        keypoint_map = _exact_points(file_names, skeleton, public)
    taken: dict[str, str] = {}
    ignored, unknown, problems = [], [], []
    for file_name in file_names:
        name = keypoint_map[file_name] if file_name in keypoint_map else skeleton.find(file_name)
        if name is None and file_name in keypoint_map:
            ignored.append(file_name)
        elif name is None:
            unknown.append(file_name)
            problems.append(f"unknown keypoint {file_name!r}{did_you_mean(file_name, skeleton.names)}")
        elif name in taken:
            problems.append(f"{taken[name]!r} and {file_name!r} both stand for {name!r}")
        else:
            taken[name] = file_name
    if problems:
        example = json.dumps(dict.fromkeys(unknown[:1], "name in the skeleton, or null to leave it out"))
        raise UserError(
            f"the file's keypoints are not all those of skeleton {skeleton.name!r}:",
            problems,
            f"Say what they stand for in a JSON file, --keypoint-map FILE, as in {example}" if unknown else "",
        )
    target = {file_name: name for name, file_name in taken.items()}
    missing = tuple(name for name in skeleton.names if name not in taken)
    return NameMatch(target, tuple(ignored), missing, public.name if public else "")


def public_skeleton(file_names: Sequence[str], skeleton: Skeleton) -> Skeleton | None:
    """The built-in skeleton, other than ``skeleton``, that has just these names in some order, or None."""
    if all(skeleton.find(name) for name in file_names):
        return None
    for public in skeletons.builtin():
        if public.name != skeleton.name and len(file_names) == len(public) and public.is_named(file_names):
            return public
    return None


def read_keypoint_map(path: str | Path, skeleton: Skeleton) -> dict[str, str | None]:
    """Reads a ``--keypoint-map``: ``{"name in the file": "name in the skeleton", "leave this out": null}``.

    Raises:
        UserError: Not such a JSON object, or it names keypoints that the skeleton does not have; all are listed.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(
            f"{path} is not a keypoint map: expected an object of names",
            hint='For example: {"left_eye": "l_eye", "Poll": null}',
        )
    found, problems = {}, []
    for file_name, name in content.items():
        if name is None:
            found[file_name] = None
        elif not isinstance(name, str):
            problems.append(f"{file_name!r}: expected a keypoint's name or null, found {str(name)[:40]}")
        elif skeleton.find(name) is None:
            problems.append(f"{file_name!r}: unknown keypoint {name!r}{did_you_mean(name, skeleton.names)}")
        else:
            found[file_name] = skeleton.find(name)
    if problems:
        raise UserError(
            f"{path} does not fit skeleton {skeleton.name!r}:", problems, f"Its keypoints: {', '.join(skeleton.names)}"
        )
    return found


def _exact_points(file_names: Sequence[str], skeleton: Skeleton, public: Skeleton) -> dict[str, str | None]:
    exact = {c.source: c.target for c in skeleton.correspondence_from(public) if c.exact}
    if not exact:
        raise UserError(
            f"none of the keypoints of {public.name!r}, which the file has, is exactly one of {skeleton.name!r}",
            hint="Write the correspondence into the skeleton's file, or give a --keypoint-map.",
        )
    return {name: exact.get(public.find(name)) for name in file_names}


#: Public data sets of many species: an animal is a horse only where the file says so.
_MANY_SPECIES = ("ap10k", "animalpose")


@dataclass(frozen=True)
class Selection:
    """What of an export is converted.

    Attributes:
        export: The export, with categories named as far as they can be.
        categories: Categories of the animals that are converted; may be empty.
        match: What their points stand for.
    """

    export: Export
    categories: frozenset[str]
    match: NameMatch


def select(
    export: Export, skeleton: Skeleton, keypoint_map: Mapping[str, str | None] | None = None, wanted: Sequence[str] = ()
) -> Selection:
    """Chooses the animals and matches their points.

    Args:
        keypoint_map: See :func:`match_names`.
        wanted: Categories that the user named; by default :data:`HORSE`. A file with a single category means horses,
            whatever it calls them, unless it is a public data set of many species.

    Raises:
        UserError: The file has several categories and none of the wanted ones, or its points cannot be matched.
    """
    publics = {public.name for names in export.keypoints.values() if (public := public_skeleton(names, skeleton))}
    if "animalpose" in publics:
        export = animalpose.with_species(export)
    categories = _categories(export, wanted, bool(publics.intersection(_MANY_SPECIES)))
    names = dict.fromkeys(
        name for category in export.keypoints if category in categories for name in export.keypoints[category]
    )
    try:
        match = match_names(list(names), skeleton, keypoint_map)
    except UserError as error:
        raise UserError(f"{export.path}: {error.summary}", error.problems, error.hint) from error
    return Selection(export, categories, match)


def _categories(export: Export, wanted: Sequence[str], many_species: bool) -> frozenset[str]:
    used = {animal.category for picture in export.pictures for animal in picture.animals}
    known = used | set(export.keypoints)
    asked = {name.strip().casefold() for name in wanted or [HORSE]}
    chosen = {category for category in known if category.strip().casefold() in asked}
    named = used - {""}
    if chosen or many_species:
        # an animal without a word for it, where others have one, was labelled by someone in a hurry
        return frozenset(chosen if many_species else chosen | (used & {""}))
    if len(named) > 1 or (wanted and named):
        raise UserError(
            f"{export.path} has no category {' or '.join(map(repr, wanted or [HORSE]))}; it has:",
            sorted(named),
            "Name the ones that are horses with --category.",
        )
    return frozenset(used)
