"""The same picture, or nearly, twice: inside a file, and between files, where it makes the score too good."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from equistera import commands
from equistera.dataset.phash import near_duplicates, near_pairs
from equistera.dataset.repeats import shared_points
from equistera.dataset.split import picture_groups
from equistera.dataset.split_report import likely_rule, source_of
from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.findings import Item
from equistera.dataset.verify.pictures import PictureState

#: Names shown of a group.
_SHOWN = 4


def contents(states: Sequence[PictureState]) -> Mapping[Path, Hashable]:
    """What tells the content of picture files apart: the size and, where several have it, a digest.

    Only such files are read once more, so that thousands of large photos take no time.
    """
    sizes = {state.path: state.file_size for state in states if state.path and state.file_size}
    alike = Counter(sizes.values())
    return {path: (size, _digest(path) if alike[size] > 1 else b"") for path, size in sizes.items()}


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def check_duplicates(file: AnnotationFile, known: Mapping[Path, Hashable]) -> Iterator[Item]:
    """Copies inside one file; ``known`` is from :func:`contents`."""
    names, states = [entry["file_name"] for entry in file.pictures], file.picture_states
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, state in enumerate(states):
        content = known.get(state.path)
        # one name under several ids is reported as such
        if content is not None and names[place] not in {names[other] for other in places[content]}:
            places[content].append(place)
    for group in places.values():
        for copy in group[1:]:
            yield Item("content-twice", f"{names[copy]} is {names[group[0]]} again", picture=copy)
    hashed = [group[0] for group in places.values() if states[group[0]].hashes is not None]
    photos = {name: source_of(name) or name for name in names}
    for group in near_duplicates([states[place].hashes for place in hashed]) if hashed else ():
        for i in group:
            photos[names[hashed[i]]] = photos[names[hashed[group[0]]]]
        shown = ", ".join(names[hashed[i]] for i in group[:_SHOWN])
        text = f"{len(group)} pictures: {shown}{' ...' if len(group) > _SHOWN else ''}"
        yield Item("near-duplicates", text, picture=hashed[group[0]], badness=len(group))
    for group in places.values():
        for copy in group:
            photos[names[copy]] = photos[names[group[0]]]
    labelled = [n for n in range(len(file.annotations)) if file.picture_of(n) is not None]
    for group in shared_points(file.labels[labelled], [photos[names[file.picture_of(n)]] for n in labelled]):
        first, *others = (labelled[i] for i in group)
        for n in others:
            yield Item("same-points", f"{file.label(n)} is {file.label(first)}", annotation=n)


def check_leaks(
    first: AnnotationFile,
    second: AnnotationFile,
    known: Mapping[Path, Hashable],
    group_by: str,
) -> Iterator[Item]:
    """What two files have in common although they should not.

    Args:
        first: A file whose pictures were looked at.
        second: Another one.
        known: From :func:`contents`, of both.
        group_by: See :func:`equistera.dataset.split.picture_groups`; "" where nothing is known.

    Raises:
        UserError: ``group_by`` does not fit the file names.
    """
    names = [[entry["file_name"] for entry in file.pictures] for file in (first, second)]
    own, others = (
        {place: known[state.path] for place, state in enumerate(file.picture_states) if state.path in known}
        for file in (first, second)
    )
    there = {content: place for place, content in reversed(others.items())}
    same = [(place, there[content]) for place, content in own.items() if content in there]
    for place, other in same:
        yield Item("leak-picture", f"{names[0][place]} = {names[1][other]}", picture=place)
    hashes = [
        {place: state.hashes for place, state in enumerate(file.picture_states) if state.hashes is not None}
        for file in (first, second)
    ]
    copied = {place for place, _ in same}
    places = [list(own) for own in hashes]
    pairs = near_pairs(list(hashes[0].values()), list(hashes[1].values())) if all(hashes) else []
    near = [(places[0][i], places[1][j]) for i, j in pairs]
    for pair in near:
        if pair[0] not in copied:
            yield Item("leak-near-duplicate", f"{names[0][pair[0]]} ~ {names[1][pair[1]]}", picture=pair[0])
    yield from _animals_in_both(first, second, {*same, *near})
    sources = [{source_of(name): place for place, name in enumerate(own)} for own in names]
    for source in sorted(sources[0].keys() & sources[1].keys() - {""}):
        one, other = (own[place[source]] for own, place in zip(names, sources, strict=True))
        if (sources[0][source], sources[1][source]) not in same:
            yield Item("leak-augmented", f"{one} ~ {other}", picture=sources[0][source])
    if group_by not in ("", "none"):
        groups = [set(picture_groups(own, group_by).values()) for own in names]
        yield from (Item("leak-group", f"group {group}") for group in sorted(groups[0] & groups[1]))
    else:
        text = "horses, videos or days in both files: --group-by does not say which pictures belong together"
        rule = likely_rule([*names[0], *names[1]])
        yield Item(
            "not-checked", text + (f"; by their names, {commands.line('--group-by', rule)} would" if rule else "")
        )


def _animals_in_both(
    first: AnnotationFile, second: AnnotationFile, alike: Collection[tuple[int, int]]
) -> Iterator[Item]:
    """Animals of the second file with the points of one in the first, but for pictures that are (nearly) the same."""
    counts = len(first.annotations), len(second.annotations)
    for group in shared_points(np.concatenate([first.labels, second.labels]), [0] * counts[0] + [1] * counts[1]):
        one, other = group[0], group[1] - counts[0]
        places = first.picture_of(one), second.picture_of(other)
        if None in places or places in alike:
            continue
        pictures = first.pictures[places[0]], second.pictures[places[1]]
        source, other_source = (source_of(picture["file_name"]) for picture in pictures)
        if source != other_source or not source:
            yield Item("same-points", f"{second.label(other)} is {first.label(one)}", annotation=other)
