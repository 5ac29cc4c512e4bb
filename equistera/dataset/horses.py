"""Which of an export's animals are horses, and which of their points are the skeleton's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equistera.dataset.formats import animalpose
from equistera.dataset.formats.records import HORSE, Export
from equistera.dataset.matching import NameMatch, match_names, public_skeleton
from equistera.errors import UserError
from equistera.skeleton import Skeleton

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
    export: Export,
    skeleton: Skeleton,
    keypoint_map: Mapping[str, str | None] | None = None,
    wanted: Sequence[str] = (),
) -> Selection:
    """Chooses the animals and matches their points.

    Args:
        export: What a reader returned.
        skeleton: The skeleton to convert to.
        keypoint_map: See :func:`equistera.dataset.matching.match_names`.
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
