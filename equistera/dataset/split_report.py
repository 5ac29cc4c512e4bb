"""What a split came to: a table of counts and visibility, and what to know before training on it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from equistera import commands
from equistera.dataset.split import SPLITS, ImageId, parts_of, picture_groups

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


def copies(names: Mapping[ImageId, str]) -> list[list[ImageId]]:
    """Groups of pictures that are copies of one photo, by their names; two and more each."""
    by_source = defaultdict(list)
    for image_id, name in names.items():
        by_source[source_of(name)].append(image_id)
    return [ids for source, ids in by_source.items() if source and len(ids) > 1]


def likely_rule(names: Iterable[str], at_least: int = 2) -> str:
    """A ``--group-by`` that the names suggest, or ``""``.

    Args:
        names: File names.
        at_least: Groups that there must be for the rule to be of use.
    """
    given = dict(enumerate(names))
    for rule in _RULES:
        if rule != "folder" and not all(re.search(rule, name.replace("\\", "/")) for name in given.values()):
            continue
        groups = Counter(picture_groups(given, rule).values())
        named = all(map(_is_name, groups))
        # most groups of one picture would be no groups
        if len(groups) >= at_least and named and len(given) >= 2 * len(groups):
            return rule
    return ""


def _is_name(group: str) -> bool:
    """Whether a group, without its folder, may be that of a horse, a video or a day; cameras' words stand alone."""
    name = group.rsplit("/", 1)[-1].strip("_- ")
    words = map(str.lower, _WORDS.findall(name))
    return not _NO_NAMES.fullmatch(name.casefold()) and not any(map(_SPLIT_WORDS.fullmatch, words))


def torn(groups: Mapping[ImageId, str], assignment: Mapping[ImageId, str]) -> Sequence[str]:
    """Groups that stand in several splits, sorted."""
    splits = defaultdict(set)
    for image_id, group in groups.items():
        splits[group].add(assignment[image_id])
    return sorted(group for group, found in splits.items() if len(found) > 1)


#: A split this far from its fraction is worth a warning.
_TOLERANCE = 0.02


def concerns(
    coco: Mapping, groups: Mapping[ImageId, str], assignment: Mapping[ImageId, str], fractions: Sequence[float]
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
    for name, part in parts_of(coco, assignment).items():
        shown = _visibility(part)
        if not part["annotations"]:
            found.append(f"{name} has no annotations")
        elif missing := [point for point, (seen, hidden, _) in shown.items() if not seen + hidden]:
            found.append(f"{name} has no label of {', '.join(missing)}: nothing can be learned or measured there")
    return found


def torn_by_name(names: Mapping[ImageId, str], assignment: Mapping[ImageId, str]) -> list[str]:
    """What to know where nobody has said which pictures belong together, but their names do.

    Args:
        names: File name of each picture, by image id.
        assignment: The split that was drawn.
    """
    rule = likely_rule(names.values(), len(set(assignment.values())))
    if not rule:
        return []
    groups = picture_groups(names, rule)
    apart = torn(groups, assignment)
    if not apart:
        return []
    shown = ", ".join(map(repr, apart[:3])) + ", ..." * (len(apart) > 3)
    return [
        f"by their names the pictures show {len(set(groups.values()))} horses, videos or days, and {len(apart)} of "
        f"them are in several splits ({shown}): if they are that, scores will be too good; to keep each in one split, "
        f"add {commands.line('--group-by', rule, '--overwrite', '--redraw')}"
    ]


def _visibility(part: Mapping) -> dict[str, tuple[int, int, int]]:
    """By keypoint: annotations that show it, that have it hidden, and all."""
    names = {category["id"]: category.get("keypoints") or [] for category in part["categories"]}
    counts = {name: [0, 0, 0] for keypoints in names.values() for name in keypoints}
    for annotation in part["annotations"]:
        flags = (annotation.get("keypoints") or [])[2::3]
        for name, flag in zip(names.get(annotation.get("category_id"), ()), flags, strict=False):
            counts[name][0] += flag == 2
            counts[name][1] += flag == 1
            counts[name][2] += 1
    return {name: (row[0], row[1], row[2]) for name, row in counts.items()}


def table(coco: Mapping, assignment: Mapping[ImageId, str]) -> str:
    """Pictures, annotations and the visibility of each keypoint by split, as text for a terminal."""
    parts = parts_of(coco, assignment)
    shown = {name: _visibility(part) for name, part in parts.items()}
    total = len(assignment)
    rows = [
        ["", *parts],
        ["pictures", *(f"{len(part['images'])} ({len(part['images']) / total:.1%})" for part in parts.values())],
        ["annotations", *(str(len(part["annotations"])) for part in parts.values())],
        ["visible + hidden, of all annotations:", *("" for _ in parts)],
    ]
    for point in next(iter(shown.values()), {}):
        cells = []
        for counts in shown.values():
            seen, hidden, every = counts[point]
            cells.append(f"{seen / every:.0%} + {hidden / every:.0%}" if every else "-")
        rows.append([f"  {point}", *cells])
    widths = [max(len(row[column]) for row in rows if row[-1] or column) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    )
