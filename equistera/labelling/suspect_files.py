"""Suspects as files: a table, the same for programs, and just their pictures' labels, to be corrected."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from equistera import commands
from equistera.dataset.export import read_labelled, targets_of, write_for_tool
from equistera.files import atomic_write, write_json
from equistera.labelling.pool import Source
from equistera.labelling.suspects import KINDS, Judged, Suspect

CSV, JSON, PAGE = "suspects.csv", "suspects.json", "suspects.html"
#: Name and endings of what a labelling tool imports.
_CORRECT, ENDINGS = "to_correct", {"labelstudio": ".json", "cvat": ".xml", "coco": ".json"}
FIELDS = ("rank", "kind", "probability", "log_odds", "split", "file_name", "annotation", "points", "says")


def row_of(judged: Judged, suspect: Suspect, rank: int) -> dict:
    """A suspect as a row of the table, JSON-ready."""
    pool, names = judged.pool, judged.pool.skeleton.names
    picture = pool.pictures[suspect.picture]
    return {
        "rank": rank,
        "kind": suspect.kind,
        "probability": round(suspect.probability, 4),
        "log_odds": round(suspect.odds, 3),
        "split": picture.source.name,
        "file_name": picture.image["file_name"],
        "annotation": None if suspect.animal is None else pool.annotations[suspect.animal]["id"],
        "points": [names[k] for k in suspect.points],
        "says": suspect.says,
    }


def write_tables(judged: Judged, out: Path, about: dict) -> None:
    """Writes ``suspects.csv`` and ``suspects.json``, the most probable first.

    Args:
        judged: The suspects.
        out: Folder of the files.
        about: What they were found with.
    """
    rows = [row_of(judged, suspect, rank) for rank, suspect in enumerate(judged.suspects, start=1)]
    with atomic_write(out / CSV) as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "points": " ".join(row["points"])} for row in rows)
    boxes = [suspect.box for suspect in judged.suspects]
    listed = [row | ({"box": list(box)} if box is not None else {}) for row, box in zip(rows, boxes, strict=True)]
    write_json(out / JSON, {"about": about, "kinds": KINDS, "suspects": listed}, indent=1)


def in_words(suspects: Sequence[Suspect]) -> list[str]:
    """How many suspects of each kind there are, and how many of them are expected to be wrong."""
    lines = []
    for kind, called in KINDS.items():
        own = [suspect.probability for suspect in suspects if suspect.kind == kind]
        if own:
            likely = sum(probability >= 0.5 for probability in own)
            lines.append(f"{called}: {len(own)}, {likely} of them more probably than not ({sum(own):.0f} expected)")
    return lines or ["nothing is suspected"]


def exports_of(out: Path, to: str, sources: Sequence[Source]) -> dict[Source, Path]:
    """The file for a labelling tool of each annotation file."""
    return {source: out / f"{_CORRECT}_{source.name}{ENDINGS[to]}" for source in sources}


def export_targets(out: Path, to: str, sources: Sequence[Source]) -> list[Path]:
    """All files that :func:`export` may write."""
    return [path for file in exports_of(out, to, sources).values() for path in targets_of(to, file)]


def export(judged: Judged, out: Path, to: str, least: float, **how: str) -> list[str]:
    """Writes the labels of just the suspects' pictures for a labelling tool, the most suspicious picture first.

    Args:
        judged: The suspects.
        out: Folder of the files.
        to: A key of :data:`ENDINGS`.
        least: Pictures count from a suspect of this probability on.
        how: ``url_prefix`` for Label Studio.

    Returns:
        What was written, how it is imported, and how what was corrected comes back.
    """
    pool, lines = judged.pool, []
    sources = list(dict.fromkeys(picture.source for picture in pool.pictures))
    for source, path in exports_of(out, to, sources).items():
        chosen = dict.fromkeys(
            pool.pictures[suspect.picture].image["file_name"].replace("\\", "/")
            for suspect in judged.suspects
            if suspect.probability >= least and pool.pictures[suspect.picture].source == source
        )
        order = {name: place for place, name in enumerate(chosen)}
        there = read_labelled(source.ann_file, source.images, pool.skeleton) if order else []
        pictures = sorted((one for one in there if one.names[0] in order), key=lambda one: order[one.names[0]])
        if not pictures:
            lines.append(f"{source.ann_file}: no suspect of at least {least:g}, nothing to correct")
            continue
        lines += write_for_tool(pictures, to, path, pool.skeleton, **how)
        # other folders may have pictures of these names
        where = ["--img-dir", source.images, "--output", source.ann_file.parent]
        back = ["--input", "CORRECTED", *where, "--update", *pool.skeleton.option]
        lines.append(f"What was corrected comes back: {commands.tool('convert_dataset', *back)}")
        if any(one.kind == "missing" and pool.pictures[one.picture].source == source for one in judged.suspects):
            lines.append("Animals that were added come with --update all instead of --update.")
    return list(dict.fromkeys(lines))
