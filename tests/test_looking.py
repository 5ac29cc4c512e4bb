"""Which detector is asked for."""

import pytest

from equistera import checkpoints
from equistera.errors import UserError
from equistera.looking import Detector, DetectorOptions, LookOptions


def test_no_detector():
    assert DetectorOptions().detector() is None
    assert DetectorOptions(det="none").detector() is None


def test_a_trained_one_by_its_weights_or_its_work_dir(tmp_path):
    weights = tmp_path / "best.pth"
    weights.touch()
    for given in (weights, tmp_path):
        assert DetectorOptions(det=str(given), det_thr=0.5).detector() == Detector(None, weights)


def test_one_of_cocos(tmp_path, monkeypatch):
    weights = tmp_path / "coco.pth"
    with pytest.raises(UserError, match="no such file"):
        DetectorOptions(det="rtmdet", det_weights=str(weights)).detector()
    weights.touch()
    assert DetectorOptions(det="rtmdet", det_weights=str(weights)).detector() == Detector("rtmdet", weights)
    monkeypatch.setattr(checkpoints, "default_dir", lambda: tmp_path / "none")
    with pytest.raises(UserError, match="Fetch them: python tools/download"):
        DetectorOptions(det="rtmdet").detector()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"det": None, "det_class": ("cow",)}, "--det-class without --det"),
        ({"det": "none", "det_thr": 0.5, "det_weights": "a"}, "--det-weights and --det-thr without --det"),
        ({"det": "rtmdet", "det_thr": 0.0}, "above 0 and at most 1, found 0"),
        ({"det": "rtmdet", "det_thr": 1.5}, "above 0 and at most 1, found 1.5"),
        ({"det": "rtmdet_tyni"}, "no such detector or file"),
        ({"det": "best.pth", "det_class": ("cow",)}, "--det-class: best.pth is the weights"),
        ({"det": "best.pth", "det_weights": "other.pth"}, "--det-weights: best.pth is the weights"),
    ],
)
def test_what_means_nothing_is_refused(given, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best.pth").touch()
    with pytest.raises(UserError, match=said):
        DetectorOptions(**given).detector()


def test_a_batch_has_a_picture():
    with pytest.raises(UserError, match="at least 1, found 0"):
        LookOptions(batch_size=0).refuse_impossible()
