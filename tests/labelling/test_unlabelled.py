"""What tools/train.py --unlabelled is asked for, and its counts."""

import pytest

from equistera.errors import UserError
from equistera.labelling.unlabelled import Tally, UnlabelledOptions, usual_weight


def test_a_folder_has_a_weight(tmp_path):
    asked = UnlabelledOptions(unlabelled=f"{tmp_path}=0.5")
    assert (asked.folder, asked.source["weight"], asked.boxes) == (tmp_path, 0.5, None)


@pytest.mark.parametrize(("taken", "own", "weight"), [(1, 400, 0.003), (50, 400, 0.125), (5000, 400, 1.0), (3, 0, 1.0)])
def test_few_animals_are_not_seen_over_and_over(taken, own, weight):
    assert usual_weight(taken, own) == weight


@pytest.mark.parametrize(
    ("given", "summary"),
    [
        ("nowhere", "no such folder: nowhere"),
        ("photos:ap10k", r"expected DIR\[=WEIGHT\]"),
        ("photos=-1", "--unlabelled photos=-1: .* above 0"),
    ],
)
def test_what_is_no_folder_is_refused(tmp_path, monkeypatch, given, summary):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match=summary):
        _ = UnlabelledOptions(unlabelled=given).source


def test_two_that_say_where_the_animals_are_contradict_each_other(tmp_path):
    (tmp_path / "boxes.json").write_text("{}")
    with pytest.raises(UserError, match="both say where the animals are"):
        _ = UnlabelledOptions(unlabelled=str(tmp_path), det="rtmdet").boxes
    assert UnlabelledOptions(unlabelled=str(tmp_path), det="none").boxes == tmp_path / "boxes.json"


def test_somebody_must_label(tmp_path):
    with pytest.raises(UserError, match="needs a model that labels"):
        UnlabelledOptions(unlabelled=str(tmp_path)).teachers()
    with pytest.raises(UserError, match="--sure must be from 0 to 1, found 80"):
        UnlabelledOptions(unlabelled=str(tmp_path), teacher=["a"], sure=80).teachers()
    with pytest.raises(UserError, match="no such work dir or checkpoint"):
        UnlabelledOptions(unlabelled=str(tmp_path), teacher=[str(tmp_path / "none")]).teachers()


def test_all_is_counted_and_said():
    tally = Tally()
    tally.left_out["also in your val set"] += 2
    taken = {"points": {"0": [1, 2], "3": [4, 5]}, "refused": {"views": 1}}
    few = {"points": {}, "refused": {"unsure": 2, "few": 1}}
    tally.add({"frame": True, "animals": [taken, few]})
    tally.add({"frame": False, "animals": []})
    tally.problems.append("a.jpg: cut short")
    assert (tally.looked, tally.frames, tally.empty, tally.used, tally.found, tally.taken) == (2, 1, 1, 1, 2, 1)
    said = "\n".join(tally.said())
    assert "2 also in your val set" in said
    assert "2 pictures, 1 of them frames of films; 1 without an animal" in said
    assert "a.jpg: cut short" in said
    assert "1 animal of 2, on 1 picture" in said
    assert "2 points; refused are 2 below the confidence, 1 elsewhere in a mirrored" in said
    assert "1 of animals that have too few sure points" in said
    assert tally.to_json()["refused"] == {"views": 1, "unsure": 2, "few": 1}
