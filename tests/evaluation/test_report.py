"""The report as a page, its figures and pictures, and the rows of single animals."""

import re

import numpy as np
import pytest

from equistera.errors import UserError
from equistera.evaluation import compare, evaluate, mean_pose, report_plots, score_models
from equistera.evaluation.calibration import Calibration
from equistera.evaluation.files import FIELDS, animal_rows, worst_and_typical
from equistera.evaluation.keypoint_metrics import left_right_swaps
from equistera.evaluation.metrics import Options, Scored
from equistera.evaluation.report import PANEL, animal_panels, report


def grey(_image_id):
    return np.full((240, 320, 3), 128, np.uint8)


def exchanged(pose):
    """The pose with its knees exchanged."""
    return pose[[0, 2, 1, 3, 4]]


@pytest.fixture
def four(make, animal):
    """Good, knees exchanged, nose 60 px off, nothing predicted."""
    truth = make.truth(4)
    off = make.pose.copy()
    off[0, 0] -= 60
    results = [make.result(1), make.result(2, exchanged(make.pose)), make.result(3, off)]
    return Scored.of(truth, results, animal, Options(draws=20, mean_pose=mean_pose(truth, animal)))


def test_rows_by_hand(four):
    good, swapped, off, missed = animal_rows(four)
    assert tuple(good) == FIELDS
    assert (good["OKS"], good["PCK@0.1"], good["median_px"], good["swapped"]) == (1, 1, 0, "")
    assert (swapped["swapped"], swapped["PCK@0.1"]) == ("l_knee r_knee", pytest.approx(3 / 5))
    assert (off["worst_keypoint"], off["worst_px"], off["mean_confidence"]) == ("nose", 60, pytest.approx(0.9))
    assert (missed["OKS"], missed["PCK@0.1"], missed["median_px"], missed["worst_keypoint"]) == (0, 0, None, None)
    assert [row["file_name"] for row in (good, missed)] == ["1.jpg", "4.jpg"]


def test_worst_and_typical_animals(four):
    assert four.animals.oks[[1, 2]] == pytest.approx([3 / 5, 4 / 5], abs=0.05)
    worst, typical = worst_and_typical(four, 2, 1)
    assert worst.tolist() == [3, 1]
    assert typical.tolist() == [2]
    assert len(worst_and_typical(four, 9, 9)[0]) == 4


def test_swaps_of_single_animals(four):
    assert np.argwhere(left_right_swaps(four.animals)).tolist() == [[1, 1], [1, 2]]


def test_pck_curve_gives_the_metric_at_its_thresholds(four):
    curve = report_plots.pck_curve(four, np.array([0.05, 0.1, 0.2]))
    np.testing.assert_allclose(curve, [four.metrics[name] for name in ("PCK@0.05", "PCK@0.1", "PCK@0.2")])
    assert np.isnan(report_plots.pck_curve(four, np.array([0.1]), visibility=1)).all()


def test_one_page_with_everything(four):
    page = report({"demo": four}, grey, title="Test <1>")
    assert "<title>Test &lt;1&gt;</title>" in page
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings == [
        "Summary",
        "Weak spots",
        "Keypoints",
        "Error per keypoint",
        "PCK curves",
        "Confidence",
        "Worst pictures",
        "Left and right swapped",
    ]
    for name in four.animals.skeleton.names:
        assert f"<td>{name}</td>" in page
    assert "2.jpg: OKS" in page
    assert "4.jpg: OKS 0.00, no prediction" in page
    assert "swapped: l_knee, r_knee" in page
    assert "1 of 4 animals got no prediction." in page
    assert "data:image/jpeg;base64," in page
    assert page.count("<svg") == 3
    assert not re.search(r'(src|href)="(?!data:|#)', page), "nothing may come from a network"
    assert "None" not in page
    assert ">nan<" not in page


def test_more_animals_than_the_worst_leave_typical_ones(make, animal):
    truth = make.truth(11)
    page = report({"demo": Scored.of(truth, make.noisy(truth, 4), animal, Options())}, grey)
    typical = page.split("<h2>Typical pictures</h2>")[1].split("</section>")[0]
    assert typical.count("<figure>") == 3


def test_several_models_stand_side_by_side(make, animal):
    truth = make.truth(6)
    predictions = {"first": make.noisy(truth, 4, seed=1), "second <b>": make.noisy(truth, 14, seed=2)}
    calibrations = {"first": Calibration(2.0, 0.5)}
    models = score_models(truth, predictions, animal, calibrations, draws=50)
    assert models["first"].metrics["calibration"]["temperature"] == 2
    assert "temperature" not in models["second <b>"].metrics["calibration"]
    page = report(models, grey, pairs=compare(models)["pairs"])
    assert "<h2>Side by side</h2>" in page
    assert "second &lt;b&gt;" in page
    assert "<b>" not in page
    assert "first is better" in page
    assert "<h2>first: Weak spots</h2>" in page


def test_names_of_models_are_no_mathematics_and_hide_no_curve(make, animal):
    truth = make.truth(3)
    names = ["run$_$1", "_second"]
    models = score_models(truth, {name: make.noisy(truth, 4, seed=1) for name in names}, animal, draws=0)
    drawings = "".join(re.findall("<svg.*?</svg>", report(models, grey), re.DOTALL))
    for name in names:
        assert drawings.count(name) == 3  # accuracy, curve, calibration


def test_models_without_draws_stand_side_by_side_untested(make, animal):
    truth = make.truth(3)
    predictions = {"a": make.noisy(truth, 4, seed=1), "b": make.noisy(truth, 5, seed=2)}
    page = report(score_models(truth, predictions, animal, draws=0), grey)
    assert "<h2>Side by side</h2>" in page
    assert "is better" not in page


def test_pictures_that_cannot_be_read_are_named(four):
    def broken(image_id):
        if image_id == 2:
            raise UserError("2.jpg is cut short")
        return grey(image_id)

    page = report({"demo": four}, broken)
    assert "2.jpg: 2.jpg is cut short" in page
    assert "3.jpg: OKS" in page


def test_points_never_labelled_and_no_prediction_at_all(make, animal):
    truth = make.truth(2, visibility=(0, 0, 0, 2, 1))
    truth["images"].append({"id": 3})
    page = report({"demo": Scored.of(truth, [make.result(3)], animal, Options())}, grey)
    assert "No labelled point has a prediction." in page
    assert "Never labelled in these pictures" in page


def test_no_model():
    with pytest.raises(UserError, match="at least one model"):
        report({}, grey)


def test_panels_show_annotation_above_prediction(four):
    panels = animal_panels(grey(3), four, 2)
    width, height = PANEL
    assert panels.shape == (2 * height + 6, width, 3)
    above, below = panels[:height], panels[-height:]
    assert (above != below).any()
    assert (below == [255, 255, 255]).all(axis=-1).sum() > (above == [255, 255, 255]).all(axis=-1).sum(), (
        "a white line leads to the nose"
    )
    assert np.ptp(grey(3)) == 0, "the picture itself is not drawn on"


@pytest.mark.parametrize("shape", [(5, 5), (2000, 40), (100, 200)])
@pytest.mark.parametrize("bbox", [[0.0, 0.0, 200.0, 100.0], [-500.0, 900.0, 3.0, 2.0], [1e6, 1e6, 5.0, 5.0]])
def test_panels_of_odd_boxes_and_pictures(make, animal, shape, bbox):
    truth = make.truth(1)
    truth["annotations"][0]["bbox"] = bbox
    far = make.pose + 1e7
    scored = Scored.of(truth, [make.result(1, far)], animal, Options())
    panels = animal_panels(np.zeros((*shape, 3), np.uint8), scored, 0)
    assert panels.shape == (2 * PANEL[1] + 6, PANEL[0], 3)


def test_metrics_of_a_report_are_those_of_evaluate(make, animal, four):
    truth = make.truth(4)
    off = make.pose.copy()
    off[0, 0] -= 60
    results = [make.result(1), make.result(2, exchanged(make.pose)), make.result(3, off)]
    assert evaluate(truth, results, animal, draws=20, mean_pose=mean_pose(truth, animal)) == four.metrics
