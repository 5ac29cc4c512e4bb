"""Whatever stands in a file, verification answers: with findings or with a UserError, never with a traceback."""

from __future__ import annotations

import contextlib
import copy
import json
import random

import pytest
import verify_horses

from equistera.dataset.ready import check_split
from equistera.dataset.verify.command import verify_dataset
from equistera.dataset.verify.fix import repair
from equistera.dataset.verify.report import report_page
from equistera.dataset.verify.run import findings_after, verify
from equistera.dataset.verify.text import summary
from equistera.errors import UserError

HORSE26 = verify_horses.HORSE26
STRANGE = [None, True, -1, 0, 1.5, 1e308, 10**400, float("nan"), float("inf"), "", "x", "../x", [], [1], {}, {"id": 1}]
STRANGE += ["x" * 300, "\ud800.jpg"]


def places_of(value, path=()):
    """Every place inside nested lists and objects."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from places_of(value[key], (*path, key))


def mutate(content, rng):
    """Puts something strange into, or takes something out of, a few random places."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 4)):
        # few places lie near the top, but what is broken there breaks most
        depth = rng.randint(1, 5)
        *parents, key = rng.choice([path for path in places_of(content) if len(path) <= depth])
        inside = content
        for step in parents:
            inside = inside[step]
        if rng.random() < 0.25:
            del inside[key]
        elif rng.random() < 0.2 and isinstance(inside, list):
            inside.append(copy.deepcopy(inside[key]))
        else:
            inside[key] = rng.choice(STRANGE)
    return content


def verify_and_repair(path, draw):
    result = verify([path], HORSE26, decode=False)
    assert summary(result)
    file, states = result.files[0], result.states[0]
    content, changes = repair(file, states)
    findings_after(file, content, states)
    json.dumps(content, allow_nan=False)
    assert bool(changes) == (json.dumps(content) != json.dumps(file.content))
    if draw:
        assert report_page(result).startswith("<!doctype html>")
    return result


@pytest.mark.parametrize(("mutants", "kinds"), [(60, 15), pytest.param(600, 25, marks=pytest.mark.slow)])
def test_mutated_files(mutants, kinds, tmp_path):
    rng = random.Random(0)
    path, content = verify_horses.write_set(tmp_path, 4)
    codes, refused = set(), []
    for number in range(mutants):
        path.write_text(json.dumps(mutate(content, rng)))
        try:
            result = verify_and_repair(path, draw=number % 50 == 0)
        except UserError as error:
            refused.append(str(error))
        else:
            codes |= verify_horses.mistakes(result.findings)
    assert len(refused) < mutants / 2
    assert all(str(path) in message for message in refused)
    assert len(codes) > kinds


@pytest.mark.slow
def test_many_mutated_files(tmp_path):
    rng = random.Random(1)
    path, content = verify_horses.write_set(tmp_path, 105)
    answered = 0
    for _ in range(2000):
        path.write_text(json.dumps(mutate(content, rng)))
        with contextlib.suppress(UserError):
            answered += bool(verify_and_repair(path, draw=False).files)
    assert answered > 1000


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
