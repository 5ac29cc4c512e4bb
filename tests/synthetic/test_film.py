import json

import numpy as np
import pytest

from equistera.errors import UserError
from equistera.synthetic.film import check_film, sample_film, write_film
from equistera.tracks import files
from equistera.video import VideoFrames

SMALL = {"seconds": 0.3, "fps": 10, "size": (160, 120)}


def test_a_film_and_its_truth_agree_and_repeat(tmp_path):
    film = sample_film(3, 0, gait="walk", animals=2, **SMALL)
    paths = write_film(film, tmp_path)
    frames = list(VideoFrames(paths[0], None).frames())
    truth = files.read(paths[1])
    assert len(frames) == len(truth) == 3
    assert truth.individuals == ("animal1", "animal2")
    assert truth.size == (160, 120)
    assert np.isfinite(truth.points).all(axis=-1).any(axis=(0, 2)).all()
    told = json.loads(paths[-1].read_text())
    assert set(told["animals"]) == {"animal1", "animal2"}
    assert told["animals"]["animal1"]["gait"] == "walk"
    again = tmp_path / "again"
    again.mkdir()
    for path, same in zip(paths, write_film(film, again), strict=True):
        assert path.read_bytes() == same.read_bytes()


def test_the_picture_shows_the_horse_where_the_truth_says(tmp_path):
    film = sample_film(3, 1, gait="walk", **SMALL)
    paths = write_film(film, tmp_path)
    first = next(VideoFrames(paths[0], None).frames()).image.astype(float)
    truth = files.read(paths[1])
    visible = truth.confidence[0, 0] == 1
    points = np.rint(truth.points[0, 0, visible]).astype(int)
    background = np.median(first[: first.shape[0] // 8].reshape(-1, 3), axis=0)
    on_horse = np.abs(first[points[:, 1], points[:, 0]] - background).sum(axis=1)
    assert np.median(on_horse) > 20


def test_what_cannot_be_filmed_is_refused():
    for wrong in (("hop", 1, 2.0, 25), ("walk", 3, 2.0, 25), ("walk", 1, 0.0, 25), ("walk", 1, 2.0, 0)):
        with pytest.raises(UserError, match="expected"):
            check_film(*wrong)
