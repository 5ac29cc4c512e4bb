"""Damaged exports and data sets: a merge ends in files that are sound, or changes nothing and says why."""

import contextlib
import json
import random

import mutants
import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset.coco import category_of, load_annotations
from equistera.dataset.convert import Request
from equistera.dataset.export import export_annotations
from equistera.dataset.split_dataset import ALL, POINTS
from equistera.dataset.update.update import update_dataset
from equistera.errors import UserError

HORSE = skeleton.load("horse26")


@pytest.mark.parametrize("what", ["export", "data set"])
def test_a_few_mutated_files(tmp_path, what):
    points = [value for k in range(26) for value in (5 + k, 4 + k % 20, 1 + k % 2)]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "keypoints": [v + i * (n % 3 < 1) for n, v in enumerate(points)],
             "bbox": [5, 3, 33, 25], "area": 825} for i in (1, 2)
        ],
        "categories": [category_of(HORSE)],
    }  # fmt: skip
    known = tmp_path / "annotations/all.json"
    known.parent.mkdir()
    known.write_text(json.dumps(content))
    (tmp_path / "images/all").mkdir(parents=True)
    Image.new("RGB", (40, 30)).save(tmp_path / "images/all/a.png")
    export = tmp_path / "export/tasks.json"
    export_annotations([known], "labelstudio", export, HORSE)
    target = export if what == "export" else known
    original, sound = target.read_bytes(), known.read_bytes()
    rng, merged = random.Random(f"update {what}"), 0
    for _ in range(60):
        known.write_bytes(sound)
        tree = mutants.mutate_tree(json.loads(original), rng)
        mutant = json.dumps(tree).encode(errors="surrogatepass") if rng.random() < 0.7 else None
        target.write_bytes(mutant or mutants.mutate_bytes(original, rng))
        before = known.read_bytes()
        try:
            update_dataset(Request(export, known.parent, HORSE), rng.choice([POINTS, ALL]))
            merged += 1
        except UserError:
            assert known.read_bytes() == before
        else:
            if known.read_bytes() != before:
                load_annotations(known, HORSE)
    assert merged > 0
    with contextlib.suppress(UserError):
        load_annotations(known, HORSE)
