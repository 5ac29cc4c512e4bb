"""What file names say about which pictures belong together, where nobody has said it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from equistera.dataset.split import ImageId, picture_groups

#: The name that Roboflow gives to augmented copies: that of the photo, a mark, a hash.
_COPY = re.compile(r"^(.+)\.rf\.[^./]+\.\w+$")
#: Rules that are tried, the most telling first: a name before a running number, behind what Label Studio puts in front
#: of uploads or before what Roboflow puts behind; Windows' numbers; folders.
_RULES = (
    r"[0-9a-f]{8}-(.+)[_-]\d+\.",
    r"^(.+)[_-]\d+_[a-z]+\.rf\.",
    r"^(.+)[_-]\d+\.",
    r"^(.+) ?\(\d+\)\.",
    "folder",
)
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
