"""A model that was broken on purpose is named as broken in that way, and a sound one is not."""

import re

import numpy as np
import pytest

from equistera import skeleton as schema
from equistera.evaluation import evaluate
from equistera.evaluation.calibration import Calibration
from equistera.evaluation.comparison import score_models
from equistera.evaluation.report import report

HORSE = schema.load("horse26")
K = len(HORSE)


def horses(pictures=60, seed=0):
    """Side views facing either way, 26 points, a few hidden, of different sizes."""
    rng = np.random.default_rng(seed)
    side = np.array([{"left": 1, "middle": 0, "right": -1}[k.side] for k in HORSE.keypoints])
    base = np.column_stack([np.linspace(0.05, 0.95, K), (np.arange(K) * 7 % K) / K])
    base[:, 0] += 0.05 * side
    images, annotations = [], []
    for i in range(1, pictures + 1):
        width = rng.uniform(200, 500)
        points = base + rng.normal(0, 0.02, base.shape)
        if i % 2:
            points[:, 0] = 1 - points[:, 0]
        flags = rng.choice([0, 1, 2], K, p=[0.05, 0.15, 0.8])
        points = np.column_stack([points * [width, 0.8 * width] + 20, flags])
        images.append({"id": i})
        annotations.append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "bbox": [20, 20, width, 0.8 * width],
                "area": 0.5 * width**2,
                "keypoints": points.reshape(-1).tolist(),
            }
        )
    categories = [{"id": 1, "name": "horse", "keypoints": list(HORSE.names)}]
    return {"images": images, "annotations": annotations, "categories": categories}


def predicted(truth, noise_px=3.0, seed=1):
    """float [N, K, 3]: a sound model's points, and scores that fall with the error."""
    rng = np.random.default_rng(seed)
    points = np.array([np.reshape(ann["keypoints"], (K, 3)) for ann in truth["annotations"]])
    offset = rng.normal(0, noise_px, (*points.shape[:2], 2))
    wanders = rng.uniform(0.9, 1.0, points.shape[:2])
    scores = wanders * np.exp(-np.linalg.norm(offset, axis=-1) / 200)
    return np.concatenate([points[..., :2] + offset, scores[..., None]], axis=-1)


def results_of(truth, points):
    return [
        {
            "image_id": ann["image_id"],
            "category_id": 1,
            "ann_id": ann["id"],
            "keypoints": p.reshape(-1).tolist(),
            "score": 0.9,
        }
        for ann, p in zip(truth["annotations"], points, strict=True)
    ]


def findings(truth, points, **options):
    return evaluate(truth, results_of(truth, points), HORSE, **options)["weak_spots"]


@pytest.fixture(scope="module")
def truth():
    return horses()


def about(sentences, *words):
    return [s for s in sentences if all(word in s for word in words)]


def test_a_sound_model_has_no_weak_spots(truth):
    assert findings(truth, predicted(truth)) == []


@pytest.mark.parametrize(("a", "b"), [("l_knee", "r_knee"), ("l_hock", "withers"), ("nose", "lh_hoof")])
def test_two_swapped_channels_are_named(truth, a, b):
    points = predicted(truth)
    i, j = sorted((HORSE.index[a], HORSE.index[b]))
    points[:, [i, j], :2] = points[:, [j, i], :2]
    sentences = findings(truth, points)
    assert about(sentences, f"{HORSE.names[i]} and {HORSE.names[j]} are probably swapped")
    assert not about(sentences, "shifted")


def test_three_channels_in_a_ring_are_named(truth):
    points = predicted(truth)
    i, j, k = (HORSE.index[name] for name in ("nose", "withers", "l_hip"))
    points[:, [i, j, k], :2] = points[:, [j, k, i], :2]
    sentences = findings(truth, points)
    for name, place in (("nose", "withers"), ("withers", "l_hip"), ("l_hip", "nose")):
        assert about(sentences, f"{name} is predicted where {place} is")


@pytest.mark.parametrize("noise_px", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("shift", [(10.0, 0.0), (-6.0, 8.0)])
def test_a_shifted_joint_is_named_with_its_offset(truth, noise_px, shift):
    points = predicted(truth, noise_px)
    points[:, HORSE.index["l_hip"], :2] += shift
    sentences = about(findings(truth, points), "l_hip is shifted by about")
    assert len(sentences) == 1
    x, y = (float(part.split()[0]) for part in sentences[0].split("(")[1].split(")")[0].split(", "))
    spread = 4 * 1.25 * noise_px / np.sqrt(len(points) * 0.95)
    assert x == pytest.approx(abs(shift[0]), abs=0.1 + spread)
    assert y == pytest.approx(abs(shift[1]), abs=0.1 + spread)
    assert ("left" if shift[0] < 0 else "right") in sentences[0]


def test_luck_with_few_pictures_is_not_called_a_shift():
    few = horses(pictures=23)
    for seed in range(40):
        assert not about(findings(few, predicted(few, noise_px=8.0, seed=seed)), "shifted"), seed


def test_points_scattered_over_the_animal_are_not_called_shifted(truth):
    """Their median lies somewhere, but they do not lie there."""
    points = predicted(truth)
    k = HORSE.index["lh_hoof"]
    points[:, k, :2] += np.random.default_rng(3).normal([120, 0], 60, (len(points), 2))
    assert not about(findings(truth, points), "shifted")


def test_a_shift_of_everything_is_one_finding(truth):
    points = predicted(truth)
    points[..., :2] += [15.0, -9.0]
    sentences = about(findings(truth, points), "shifted")
    assert len(sentences) == 1
    assert sentences[0].startswith("All keypoints are shifted by about 17")
    assert "right" in sentences[0]
    assert "up" in sentences[0]


@pytest.mark.parametrize("noise_px", [3.0, 40.0])
def test_a_joint_always_sure_is_named(truth, noise_px):
    """At 0.99 whatever the picture, be it accurate or not."""
    points = predicted(truth)
    k = HORSE.index["withers"]
    points[:, k, :2] += np.random.default_rng(5).normal(0, noise_px, (len(points), 2))
    points[:, k, 2] = 0.99
    sentences = findings(truth, points)
    assert len(about(sentences, "withers always has confidence 0.99")) == 1
    if noise_px == 40.0:
        assert about(sentences, "withers is surer than it is right")


def test_confidence_that_never_varies(truth):
    points = predicted(truth)
    points[..., 2] = 1.0
    assert about(findings(truth, points), "The confidence is the same everywhere")


def test_all_three_faults_at_once(truth):
    """The model of the issue: two channels swapped, one joint shifted by 10 px, one always at 0.99."""
    points = predicted(truth)
    i, j = HORSE.index["lf_hoof"], HORSE.index["rf_hoof"]
    points[:, [i, j], :2] = points[:, [j, i], :2]
    points[:, HORSE.index["tail_end"], 1] += 10
    points[:, HORSE.index["neck"], 2] = 0.99
    sentences = findings(truth, points)
    assert about(sentences, "lf_hoof and rf_hoof are probably swapped")
    assert about(sentences, "tail_end is shifted by about", "down")
    assert about(sentences, "neck always has confidence 0.99")
    assert about(sentences, "Worst keypoints: ", "lf_hoof", "rf_hoof")
    assert len(sentences) <= 5, sentences


def test_sides_mixed_up_in_some_pictures(truth):
    points = predicted(truth)
    some = points[::4]
    some[:, :, :2] = some[:, HORSE.flip_indices, :2]
    points[::4] = some
    sentences = findings(truth, points)
    assert about(sentences, "Left and right are mixed up")
    assert not about(sentences, "probably swapped")


def test_hidden_points_much_worse(truth):
    points = predicted(truth)
    hidden = np.array([np.reshape(ann["keypoints"], (K, 3))[:, 2] == 1 for ann in truth["annotations"]])
    points[hidden, :2] += 80
    assert about(findings(truth, points), "Hidden points are much worse than visible ones")


def test_missed_animals_and_false_alarms(make, animal):
    metrics = evaluate(make.truth(3), [make.result(1), make.result(1)], animal)
    assert "2 of 3 animals got no prediction." in metrics["weak_spots"]
    assert "1 predictions belong to no annotated animal." in metrics["weak_spots"]


def test_keypoints_never_labelled_are_named(make, animal):
    metrics = evaluate(make.truth(2, visibility=(0, 2, 2, 2, 0)), [make.result(1), make.result(2)], animal)
    assert about(metrics["weak_spots"], "Never labelled", "nose, tail")


def test_peaks_above_one_are_not_taken_for_more_than_certainty(truth):
    """A SimCC head's peaks may exceed 1; they are as sure as can be, and no surer."""
    points = predicted(truth)
    points[..., 2] *= 1.4
    assert not about(findings(truth, points), "surer than it is right")


def test_what_is_calibrated_is_judged_by_its_probabilities(truth):
    points = predicted(truth)
    k = HORSE.index["withers"]
    points[:, k, :2] += np.random.default_rng(5).normal(0, 40, (len(points), 2))
    assert about(findings(truth, points), "withers is surer than it is right")
    # at this temperature every confidence becomes about a half
    assert not about(findings(truth, points, calibration=Calibration(temperature=50.0)), "surer than it is right")


def test_the_reports_page_names_exactly_the_planned_faults(truth):
    """Of a sound model the page names nothing; of the broken one the three faults, and whom they make the worst."""
    points = predicted(truth)
    broken = points.copy()
    i, j = HORSE.index["lf_hoof"], HORSE.index["rf_hoof"]
    broken[:, [i, j], :2] = broken[:, [j, i], :2]
    broken[:, HORSE.index["tail_end"], 1] += 10
    broken[:, HORSE.index["neck"], 2] = 0.99

    def named_on_page(predictions):
        results = results_of(truth, predictions)
        named = {**truth, "images": [{**image, "file_name": f"{image['id']}.jpg"} for image in truth["images"]]}
        scored = score_models(named, {"model": results}, HORSE, draws=0)
        page = report(scored, lambda image_id: np.full((440, 560, 3), 127, np.uint8))
        section = page.split("<h2>Weak spots</h2>")[1].split("<h2>")[0] if "Weak spots" in page else ""
        return [text for text in re.findall("<p[^>]*>(.*?)</p>", section) if "None was found." not in text]

    assert named_on_page(points) == []
    found = named_on_page(broken)
    assert len(found) == 4, found
    swapped, shifted, fixed, worst = found
    assert swapped.startswith("lf_hoof and rf_hoof are probably swapped")
    assert re.match(r"tail_end is shifted by about (9|10)\.\d px \(0\.\d (left|right), (9|10)\.\d down\)", shifted)
    assert fixed.startswith("neck always has confidence 0.99")
    assert re.match(r"Worst keypoints: [lr]f_hoof .*[lr]f_hoof", worst)
