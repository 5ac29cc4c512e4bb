"""Whatever stands in a file, verification answers: with findings or with a UserError, never with a traceback."""

from __future__ import annotations

import json
import random

import mutants
import pytest
import verify_horses

from equistera.dataset.ready import check_split
from equistera.dataset.verify.command import findings_after, summary, verify, verify_dataset
from equistera.dataset.verify.fix import repair
from equistera.dataset.verify.report import report_page
from equistera.errors import UserError

HORSE26 = verify_horses.HORSE26


def verify_and_repair(path, draw):
    result = verify([path], HORSE26, decode=False)
    assert summary(result)
    file = result.files[0]
    content, changes = repair(file)
    findings_after(file, content)
    json.dumps(content, allow_nan=False)
    assert bool(changes) == (json.dumps(content) != json.dumps(file.content))
    if draw:
        assert report_page(result).startswith("<!doctype html>")
    return result


def test_mutated_files(tmp_path):
    rng = random.Random(0)
    path, content = verify_horses.write_set(tmp_path, 4)
    codes, refused = set(), []
    for number in range(60):
        path.write_text(json.dumps(mutants.mutate_tree(content, rng)))
        try:
            result = verify_and_repair(path, draw=number % 50 == 0)
        except UserError as error:
            refused.append(str(error))
        else:
            codes |= verify_horses.mistakes(result.findings)
    assert len(refused) < 30
    assert all(str(path) in message for message in refused)
    assert len(codes) > 15


@pytest.mark.slow
@pytest.mark.parametrize("animals", [4, 105])
def test_mutants(tmp_path, animals):
    folder = mutants.folder_with_traps(tmp_path)
    path, content = verify_horses.write_set(folder, animals)

    def attempt(rng):
        path.write_text(json.dumps(mutants.mutate_tree(content, rng)))
        verify_and_repair(path, draw=rng.random() < 0.02)

    counted = mutants.survive(attempt, folder, f"verified files of {animals} animals", 1000)
    assert counted["accepted"] > 500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "expected an object, found list"),
        ("{}", "the lists images, annotations, categories are missing"),
        ('{"images": [], "categories": []}', "the list annotations is missing"),
    ],
)
def test_files_that_are_no_coco_files(tmp_path, text, message):
    path = tmp_path / "train.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        verify([path], HORSE26)


def test_empty_lists(tmp_path):
    path = tmp_path / "train.json"
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    result = verify_and_repair(path, draw=True)
    assert verify_horses.mistakes(result.findings) == {"no-annotations", "no-keypoint-names"}


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "\ud800.jpg"])
def test_names_that_no_file_can_have(tmp_path, name):
    path, content = verify_horses.write_set(tmp_path, 2)
    content["images"][1]["file_name"] = name
    path.write_text(json.dumps(content))
    assert verify_dataset([path], report=tmp_path / "report.html") == 1
    assert "picture-path" in {finding.check.code for finding in verify([path], HORSE26).findings}
    assert ascii(name[:40])[1:-1] in (tmp_path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="1 of 2 pictures"):
        check_split(path, verify([path], HORSE26).files[0].image_dir, HORSE26)


def test_a_link_that_leads_to_itself(tmp_path):
    path, content = verify_horses.write_set(tmp_path, 2)
    content["images"][1]["file_name"] = "loop/a.jpg"
    (verify([path], HORSE26).files[0].image_dir / "loop").symlink_to("loop")
    path.write_text(json.dumps(content))
    codes = {finding.check.code for finding in verify([path], HORSE26).findings}
    assert codes & {"picture-path", "picture-missing", "picture-unreadable"}


def test_options_that_do_not_fit(tmp_path):
    path, _ = verify_horses.write_set(tmp_path, 1)
    with pytest.raises(UserError, match="named twice"):
        verify([path, path], HORSE26)
    with pytest.raises(UserError, match="2 picture folders for 1 files"):
        verify([path], HORSE26, image_dirs=[tmp_path, tmp_path])
    with pytest.raises(UserError, match="no such picture folder"):
        verify([path], HORSE26, image_dirs=[tmp_path / "nowhere"])
