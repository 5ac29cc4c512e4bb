"""What a model card says, and what it says of what nobody knows."""

import json

import pytest

from equistera import skeleton
from equistera.errors import UserError
from equistera.exported import Exported, content_of
from equistera.model_card import Member, model_card


def exported(**changes):
    horse = skeleton.load("horse26")
    known = {
        "kind": "pose",
        "codec": {"type": "SimCCLabel", "input_size": [256, 192]},
        "members": ("ab" * 32,),
        "equistera_version": "1.0",
        "skeleton": {"name": "horse26", "content": content_of(horse)},
        "padding": 1.25,
    }
    return Exported(**{**known, **changes})


def member(folder, **meta):
    (folder / "best.pth").write_bytes(b"weights")
    return Member(folder / "best.pth", "ab" * 32, meta)


def test_what_is_known_stands_there(tmp_path):
    metrics = {
        "checkpoint": str(tmp_path / "best.pth"),
        "AP": 0.71234,
        "pictures": 48,
        "animals": 50,
        "intervals": {"AP": [0.65, 0.77]},
        "bootstrap": {"drawn": "groups", "count": 7},
        "weak_spots": ["Left and right are mixed up: l_hoof (31%)."],
    }
    for name, content in (("test", metrics), ("other", {**metrics, "checkpoint": "b.pth", "AP": 0.1})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(content))
    own = member(
        tmp_path,
        fingerprint={"training annotations": "800 animals, hash abc"},
        config="pretrained = 'vitpose_b_ap10k'",
        animals=["horse"],
    )
    about = exported(calibrated=True, calibration={"temperature": 1.5, "bias": -0.25}, precision="int8")
    card = model_card(tmp_path / "m.onnx", about, [own], "worst 0.1 px")
    for said in (
        "keypoints of one animal",
        "uint8 RGB [1, 192, 256, 3]",
        "800 animals, hash abc",
        "7 in the test",
        "| AP | 0.712 (0.650 to 0.770) |",
        "Left and right are mixed up",
        "temperature 1.500, bias -0.250",
        "fitted before the step to int8",
        "MAE's",
        "worst 0.1 px",
        "25 rh_hoof",
    ):
        assert said in card
    assert "0.100" not in card


@pytest.mark.parametrize(("sha256", "known"), [("ab" * 32, True), ("cd" * 32, False)])
def test_scores_are_those_of_the_very_weights_wherever_they_lie(tmp_path, sha256, known):
    # tested in another folder; or at the same place, before other weights came there
    place = "elsewhere/best.pth" if known else str(tmp_path / "best.pth")
    metrics = {"checkpoint": place, "checkpoint_sha256": sha256, "AP": 0.5, "pictures": 4, "animals": 4}
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "metrics.json").write_text(json.dumps(metrics))
    assert ("| AP | 0.500" in model_card(tmp_path / "m.onnx", exported(), [member(tmp_path)], "")) is known


def test_what_nobody_knows_is_named(tmp_path):
    card = model_card(tmp_path / "m.onnx", exported(), [member(tmp_path)], "")
    assert "| training annotations | unknown |" in card
    assert "unknown: no tools/test.py has left its figures" in card
    assert "no probability" in card
    assert "unknown, and so is their licence" in card
    foreign = model_card(tmp_path / "m.onnx", exported(), [member(tmp_path, config="pretrained = 'a/b.pth'")], "")
    assert "`b.pth`, whose licence is unknown" in foreign


def test_metadata_go_there_and_back():
    about = exported(trained_on=("a1", "b2"), flip=True)
    again = Exported.of({**about.as_text(), "of another program": "x"}, "m.onnx", "pose")
    assert again == about
    assert again.keypoints == skeleton.parse(about.skeleton["content"], "horse26")
    assert again.keypoints.names == skeleton.load("horse26").names
    assert (again.keypoints.sigmas == skeleton.load("horse26").sigmas).all()
    with pytest.raises(UserError, match="is a pose model: it finds keypoints, not animals"):
        Exported.of(about.as_text(), "m.onnx", "detector")
