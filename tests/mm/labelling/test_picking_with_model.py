"""tools/pick_frames.py with tiny models, on real videos and pictures."""

import csv
import dataclasses
import json
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from equistera.errors import UserError
from equistera.evaluation.calibration import Calibration
from equistera.frames import Frame
from equistera.labelling.pick import pick
from equistera.labelling.picking import PickOptions, settled
from equistera.mm.labelling import picking, views
from equistera.mm.labelling.picking import KeptBoxes, model_of
from equistera.mm.labelling.views import Place, jumps, see
from equistera.mm.prediction.pose_drawing import Confidence
from equistera.mm.prediction.predict import Pose, Predictor
from equistera.mm.prediction.stream import Box
from equistera.video_writer import VideoWriter

DEMO = "configs/demo_rtmpose_t.py"


@pytest.fixture(scope="module")
def other(trained, tmp_path_factory):
    """Another checkpoint: that of ``trained`` with its head disturbed."""
    path = tmp_path_factory.mktemp("other") / "epoch_2.pth"
    content = torch.load(trained / "best.pth", weights_only=True)
    generator = torch.Generator().manual_seed(0)
    for name, value in content["state_dict"].items():
        if name.startswith("head.") and value.is_floating_point():
            value += 0.3 * value.std(correction=0) * torch.randn(value.shape, generator=generator)
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def model(trained, tiny):
    path = trained / "best.pth"
    predictor = Predictor(DEMO, path, device="cpu", cfg_options=tiny())
    return predictor, Confidence.of(path, False, None, predictor.settings)


@pytest.fixture(scope="module")
def horse(horses):
    """A picture and the box of its horse."""
    coco = json.loads((horses / "annotations" / "val.json").read_text())
    entry = coco["annotations"][0]
    name = next(image["file_name"] for image in coco["images"] if image["id"] == entry["image_id"])
    return cv2.imread(str(horses / "images" / "val" / name))[..., ::-1].copy(), entry["bbox"]


@pytest.fixture
def run(trained, tiny, tmp_path):
    def call(*words, more=(), **options):
        out = tmp_path / options.pop("out", "out")
        checkpoints = [str(trained / "best.pth"), *map(str, more)]
        given = {"config": DEMO, "checkpoint": checkpoints, "cfg_options": tiny(), "out": str(out), **options}
        job = settled(PickOptions(words=[str(word) for word in words], **given))
        assert pick(job, model_of(job)) == 0
        with (out / "chosen.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    return call


def test_what_all_looks_agree_on_is_their_mean(model, horse):
    image, box = horse
    (seen,) = see([model, model], [Place(image, box)])
    (look,) = views._looks(model[0], [Place(image, box)], 1)
    scaled = [views._scaled(model[0], [Place(image, box)], side, 1)[0] for side in views.SIDES]
    np.testing.assert_allclose(seen.agreed, np.mean([look.points, look.mirrored, *scaled], axis=0), atol=1e-3)
    assert np.abs(seen.agreed - seen.points).max() > 0.1


def test_what_is_said_of_a_point_is_what_the_views_are_apart(model, horse):
    image, box = horse
    still, alone = see([model], [Place(image, box, image, image), Place(image, box)], batch_size=2)
    assert still.jump.max() < 0.02
    assert np.isnan(alone.jump).all()
    assert np.isnan(still.models).all()
    np.testing.assert_allclose(still.points, alone.points, atol=1e-3)
    np.testing.assert_allclose(still.features, alone.features, atol=1e-4)
    assert still.views.shape == (26,)
    assert (still.views > 0).all()
    assert ((alone.confidence >= 0) & (alone.confidence <= 1)).all()
    # as the model itself says it
    predictor, confidence = model
    (pose,) = predictor.poses([(image, box)])
    np.testing.assert_allclose(alone.points, pose.points, atol=1e-3)
    np.testing.assert_allclose(alone.confidence, confidence.apply(pose.scores), atol=1e-5)


class Brightness:
    """Takes a picture's brightness for where its points are."""

    def poses(self, crops, batch_size):
        for image, _ in crops:
            yield Pose(np.full((26, 2), float(image.mean())), np.ones(26), np.zeros(4))


def test_a_point_jumps_that_is_not_between_its_places_before_and_behind():
    def grey(level):
        return np.full((4, 4, 3), level, np.uint8)

    box = (0, 0, 4, 4)
    even, jumping = Place(grey(20), box, grey(10), grey(30)), Place(grey(60), box, grey(10), grey(30))
    found = jumps(Brightness(), [even, Place(grey(20), box, grey(10)), jumping])
    assert found.keys() == {0, 2}
    np.testing.assert_allclose(found[0], 0)
    np.testing.assert_allclose(found[2], 40 * np.sqrt(2))


def test_the_same_checkpoint_twice_never_disagrees_another_does(model, other, tiny, horse):
    image, box = horse
    second = Predictor(DEMO, other, device="cpu", cfg_options=tiny())
    (same,) = see([model, model], [Place(image, box)])
    (apart,) = see([model, (second, model[1])], [Place(image, box)])
    np.testing.assert_allclose(same.models, 0, atol=1e-9)
    assert apart.models.mean() > 0


def test_pictures_with_boxes_are_chosen_by_doubt_and_the_labelled_ones_not(run, horses, other, tmp_path, capsys):
    annotations = horses / "annotations"
    first = json.loads((annotations / "train.json").read_text())
    labelled = first["images"][:4]
    ids = {image["id"] for image in labelled}
    known = tmp_path / "known.json"
    entries = [a for a in first["annotations"] if a["image_id"] in ids]
    known.write_text(json.dumps({**first, "images": labelled, "annotations": entries}))
    folder = horses / "images" / "train"
    rows = run(
        folder, n=5, boxes=str(annotations / "train.json"), ann_file=[str(known)], img_dir=str(folder), more=[other]
    )
    assert len(rows) == 5
    names = {Path(row["source"]).name for row in rows}
    assert not names & {image["file_name"] for image in labelled}
    assert all(0 < float(row["worth"]) <= 1 and row["reasons"] for row in rows)
    said = capsys.readouterr().out
    assert "4 pictures are labelled already" in said
    # a model of two epochs may find none uncommon
    assert "uncommon pose" in said or not any("uncommon" in row["reasons"] for row in rows)
    page = (tmp_path / "out" / "chosen.html").read_text()
    assert page.count("<img") == 5
    assert "epoch_2.pth" in page


class Search:
    """Finds one box, and says how often it was asked."""

    def __init__(self, box):
        self.box, self.asked = box, 0

    def __call__(self, frames):
        self.asked += len(frames)
        return [[Box(tuple(self.box))] for _ in frames]


def test_the_search_is_asked_again_only_where_the_animal_is_lost(model, horse):
    image, box = horse
    predictor, confidence = model
    search = Search(box)
    # the tiny model is sure of nothing: taken as sure of all it stays with its animal, else it never does
    sure = dataclasses.replace(confidence, calibration=Calibration(temperature=1.0, bias=50.0))
    unsure = dataclasses.replace(confidence, calibration=Calibration(temperature=1.0, bias=-50.0))
    frames = [Frame(f"frame {t}", t, image, time=Fraction(t)) for t in range(4)]
    kept = KeptBoxes(predictor, sure, search)
    assert all(len(boxes) == 1 for boxes in kept(frames))
    assert search.asked == 1
    # another video begins, or so much time has gone by that another animal may have come
    kept(frames[:1])
    kept([dataclasses.replace(frames[1], time=Fraction(21))])
    # pictures have nothing to do with each other
    kept([dataclasses.replace(frame, time=None) for frame in frames[:2]])
    assert search.asked == 5
    KeptBoxes(predictor, unsure, search)(frames)
    assert search.asked == 9


def test_frames_of_a_video_are_looked_at_with_those_beside_them(run, horse, tmp_path, monkeypatch):
    image, box = horse
    writer = VideoWriter(tmp_path / "v.mp4", Fraction(10), image.shape[1::-1])
    for t in range(12):
        writer.write(np.roll(image, 9 * t, axis=1), Fraction(t, 10))
    writer.close()
    monkeypatch.setattr(picking, "SearchedBoxes", lambda *_: Search(box))
    rows = run(tmp_path / "v.mp4", n=2, every=0.2, gap=0.5)
    assert len(rows) == 2
    assert abs(float(rows[0]["time"]) - float(rows[1]["time"])) >= 0.5
    monkeypatch.setattr(picking, "SearchedBoxes", lambda *_: lambda frames: [[] for _ in frames])
    with pytest.raises(UserError, match="nothing to choose from"):
        run(tmp_path / "v.mp4", n=2, out="nobody")


def test_checkpoints_of_other_keypoints_are_refused(run, trained, other, tiny, horses, tmp_path):
    shutil.copy(other, tmp_path / "other.pth")
    with pytest.raises(UserError, match="keypoints"):
        run(horses / "images" / "val", n=2, more=[tmp_path / "other.pth"], skeleton="ap10k")
    with pytest.raises(UserError, match="--boxes and --det"):
        run(horses / "images" / "val", boxes=str(horses / "annotations" / "val.json"), det="rtmdet")
