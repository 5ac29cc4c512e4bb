"""What a split came to: a table of counts and visibility, and what to know before training on it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from equistera import commands
from equistera.dataset.coco import is_id
from equistera.dataset.split import SPLITS, picture_groups
from equistera.dataset.verify.annotation_file import keypoint_names
from equistera.words import aligned

#: The name that Roboflow gives to augmented copies: that of the photo, a mark, a hash.
_COPY = re.compile(r"^(.+)\.rf\.[^./]+\.\w+$")
#: Rules that are tried, the most telling first: a name before a running number, behind what Label Studio puts in front
#: of uploads or before what Roboflow puts behind; Windows' numbers; folders.
_RULES = (r"[0-9a-f]{8}-(.+)[_-]\d+\.", r"^(.+)[_-]\d+_[a-z]+\.rf\.", r"^(.+)[_-]\d+\.", r"^(.+) ?\(\d+\)\.", "folder")
#: Names that cameras and programs give to all pictures alike.
_NO_NAMES = re.compile(
    r"imgs?|images?|dsc[nf]?|dcim|pxl|gopr|mvi|vid|video|p|photos?|foto|pic|picture|frames?|screenshot|default|all|labels"
)
#: Words of which one, as in ``val2017``, ``Train_1`` or ``obj_train_data``, makes a name that of a split.
_SPLIT_WORDS = re.compile("train(ing|val)?|val|valid(ation)?|test(ing)?|dev(elopment)?|eval(uation)?|holdout|unseen")
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def source_of(name: str) -> str:
    """The photo that an augmented copy was made from, without its folder, or ``""`` for other pictures.

    >>> source_of("train/IMG_0010_jpg.rf.1f0c.jpg"), source_of("IMG_0010.jpg")
    ('IMG_0010_jpg', '')
    """
    match = _COPY.match(name.replace("\\", "/").rsplit("/", 1)[-1])
    return match[1] if match else ""


def copies(names: Iterable[str]) -> list[list[str]]:
    """Groups of pictures that are copies of one photo, by their names; two and more each."""
    by_source = defaultdict(list)
    for name in names:
        by_source[source_of(name)].append(name)
    return [group for source, group in by_source.items() if source and len(group) > 1]


def likely_rule(names: Iterable[str], at_least: int = 2) -> str:
    """A ``--group-by`` that the names suggest, or ``""``.

    Args:
        names: File names.
        at_least: Groups that there must be for the rule to be of use.
    """
    given = set(names)
    for rule in _RULES:
        if rule != "folder" and not all(re.search(rule, name.replace("\\", "/")) for name in given):
            continue
        groups = set(picture_groups(given, rule).values())
        # most groups of one picture would be no groups
        if len(groups) >= at_least and all(map(_is_name, groups)) and len(given) >= 2 * len(groups):
            return rule
    return ""


def _is_name(group: str) -> bool:
    """Whether a group, without its folder, may be that of a horse, a video or a day; cameras' words stand alone."""
    name = group.rsplit("/", 1)[-1].strip("_- ")
    words = map(str.lower, _WORDS.findall(name))
    return not _NO_NAMES.fullmatch(name.casefold()) and not any(map(_SPLIT_WORDS.fullmatch, words))


def torn(groups: Mapping[str, str], assignment: Mapping[str, str]) -> Sequence[str]:
    """Groups that stand in several splits, sorted."""
    homes = defaultdict(set)
    for name, group in groups.items():
        homes[group].add(assignment[name])
    return sorted(group for group, splits in homes.items() if len(splits) > 1)


#: A split this far from its fraction is worth a warning.
_TOLERANCE = 0.02


def concerns(
    parts: Mapping[str, Mapping],
    groups: Mapping[str, str],
    assignment: Mapping[str, str],
    fractions: Sequence[float],
) -> list[str]:
    """What the user should know about a split before training on it.

    Returns:
        Sentences about groups that stand in several splits (an earlier draw did not know them as groups), fractions
        that the groups do not allow, splits without annotations, and keypoints that a split never shows.
    """
    found = []
    if leaks := torn(groups, assignment):
        found.append(
            f"the existing split tears {len(leaks)} of the groups apart ({', '.join(leaks[:3])}"
            f"{', ...' * (len(leaks) > 3)}): scores will be too good; draw anew with --redraw"
        )
    total, sizes, counts = len(assignment), Counter(groups.values()), Counter(assignment.values())
    for name, fraction in zip(SPLITS, fractions, strict=False):
        reached, wanted = counts[name] / total, fraction / sum(fractions)
        if abs(reached - wanted) > _TOLERANCE and abs(counts[name] - wanted * total) >= 1:
            largest = ", ".join(f"{group!r} with {size}" for group, size in sizes.most_common(2))
            found.append(
                f"{name} has {reached:.1%} of the pictures instead of {wanted:.1%}: the groups allow no better draw "
                f"(largest: {largest} of {total}); finer groups or more pictures would"
            )
    for name, part in parts.items():
        if not part["annotations"]:
            found.append(f"{name} has no annotations")
        elif missing := [point for point, flags in _flags(part).items() if not flags.count(1) + flags.count(2)]:
            found.append(f"{name} has no label of {', '.join(missing)}: nothing can be learned or measured there")
    return found


def torn_by_name(assignment: Mapping[str, str]) -> list[str]:
    """What to know where nobody has said which pictures belong together, but their names do."""
    rule = likely_rule(assignment, len(set(assignment.values())))
    groups = picture_groups(assignment, rule or "none")
    apart = torn(groups, assignment)
    if not apart:
        return []
    shown = ", ".join(map(repr, apart[:3])) + ", ..." * (len(apart) > 3)
    return [
        f"by their names the pictures show {len(set(groups.values()))} horses, videos or days, and {len(apart)} of "
        f"them are in several splits ({shown}): if they are that, scores will be too good; to keep each in one split, "
        f"add {commands.line('--group-by', rule, '--overwrite', '--redraw')}"
    ]


def _flags(part: Mapping) -> dict[str, list]:
    """By keypoint: its visibility flag in each annotation that has it."""
    names = {c["id"]: own for c in part["categories"] if (own := keypoint_names(c)) and is_id(c.get("id"))}
    found: dict[str, list] = {name: [] for own in names.values() for name in own}
    for annotation in part["annotations"]:
        category, values = annotation.get("category_id"), annotation.get("keypoints")
        if is_id(category) and isinstance(values, list):
            for name, flag in zip(names.get(category, ()), values[2::3], strict=False):
                found[name].append(flag)
    return found


def table(parts: Mapping[str, Mapping]) -> str:
    """Pictures, annotations and the visibility of each keypoint by split, as text for a terminal."""
    total = sum(len(part["images"]) for part in parts.values())
    rows = [
        ["", *parts],
        ["pictures", *(f"{len(part['images'])} ({len(part['images']) / total:.1%})" for part in parts.values())],
        ["annotations", *(str(len(part["annotations"])) for part in parts.values())],
    ]
    shown = [_flags(part) for part in parts.values()]
    for point in shown[0]:
        cells = (
            f"{flags.count(2) / len(flags):.0%} + {flags.count(1) / len(flags):.0%}" if flags else "-"
            for flags in (own[point] for own in shown)
        )
        rows.append([f"  {point}", *cells])
    lines = aligned(rows, right=True)
    return "\n".join([*lines[:3], "visible + hidden, of all annotations:", *lines[3:]])
