"""Suspects as files: a table, the same for programs, and just their pictures' labels, to be corrected."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from equistera.files import atomic_write, write_json
from equistera.labelling.suspects import KINDS, Judged, Suspect

CSV, JSON, PAGE = "suspects.csv", "suspects.json", "suspects.html"
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
