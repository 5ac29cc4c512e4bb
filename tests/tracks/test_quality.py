"""The quality page says what was wrong, where, and what was done."""

import json

import numpy as np
import pytest
from moving import HORSE, frame_times, seen, true_points, with_swaps

from equistera.tracks import quality
from equistera.tracks.smooth import smooth
from equistera.tracks.swaps import repair_swaps
from equistera.tracks.tracks import FILLED, SWAPPED, Tracks


@pytest.fixture(scope="module")
def cleaned():
    times = frame_times(200)
    tracks = seen(true_points(times, speed=0.5)[:, None], times, noise=1.5, missing=0.02)
    tracks, _ = with_swaps(tracks, seed=1, kinds=("hind",))
    raw, confidence = tracks.raw.copy(), tracks.confidence.copy()
    raw[100:120], confidence[100:120] = np.nan, np.nan
    confidence[150, :, :20] = 0.1
    tracks = Tracks.of(HORSE.names, times, raw, confidence, size=(1280, 480), source="ride.mp4")
    return smooth(repair_swaps(tracks, HORSE))


def test_numbers_are_json_and_say_what_was_done(cleaned):
    found = json.loads(json.dumps(quality.numbers(cleaned, HORSE), allow_nan=False))
    assert (found["frames"], found["fps"]) == (200, pytest.approx(25))
    assert found["seconds"] == pytest.approx(8)
    assert found["seen"] == {"animal1": pytest.approx(0.9)}
    hoof = found["keypoints"]["animal1"]["lh_hoof"]
    k = HORSE.index["lh_hoof"]
    assert 0.1 <= hoof["open"] < 0.12
    assert hoof["longest_gap"] >= 0.8
    present = cleaned.seen.any(axis=2)[:, 0]
    assert hoof["confident"] == pytest.approx((cleaned.confidence[present, 0, k] >= 0.5).mean())
    assert hoof["jitter_after"] < hoof["jitter_before"]
    assert 0 < hoof["spread"] < 3
    filled = cleaned.changed[:, 0, k] & FILLED > 0
    assert hoof["gaps"] == (np.diff(filled.astype(int), prepend=0) == 1).sum()
    swapped = (cleaned.changed[:, 0, k] & SWAPPED > 0).sum()
    assert sum(swap["frames"] for swap in found["swaps"] if "lh_hoof" in swap["points"]) == swapped > 5
    assert found["meetings"]["met"] >= found["meetings"]["turned"] >= 0
    assert f"Legs met {found['meetings']['met']} times" in quality.page(cleaned, HORSE, "ride")


def test_the_worst_moments_are_apart_and_say_why(cleaned):
    moments = quality.worst_moments(cleaned, HORSE, count=4)
    assert moments[0].frame == 150
    assert "20 points of 26 uncertain" in moments[0].why
    times = cleaned.times[[moment.frame for moment in moments]]
    assert (np.diff(np.sort(times)) >= 1).all()
    assert any("exchanged" in moment.why for moment in moments)


def test_the_page_holds_its_pictures(cleaned):
    moments = quality.worst_moments(cleaned, HORSE)
    picture = np.full((480, 1280, 3), 90, np.uint8)
    html = quality.page(cleaned, HORSE, "ride.mp4", pictures={moments[0].frame: picture}, about={"Video": "<ride>.mp4"})
    assert html.count("data:image/jpeg") == 1
    assert "&lt;ride&gt;" in html
    assert "frame 150" in html
    assert "Left and right put right" in html
    assert html.count("<svg") + html.count('class="plot"') == 1
    assert html == quality.page(
        cleaned, HORSE, "ride.mp4", pictures={moments[0].frame: picture}, about={"Video": "<ride>.mp4"}
    )


def test_thumbnails_show_both(cleaned):
    picture = np.full((480, 1280, 3), 90, np.uint8)
    moment = quality.worst_moments(cleaned, HORSE)[0]
    image = quality.thumbnail(picture, cleaned, moment, HORSE)
    assert image.shape[0] == 330
    assert image.shape[1] > 2 * 440
    left, right = image[:, :440], image[:, -440:]
    assert (left != 90).any()
    assert (left != right).any()


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_videos_without_much(frames):
    raw = np.full((frames, 2, len(HORSE), 2), np.nan)
    tracks = Tracks.of(HORSE.names, frame_times(frames), raw, raw[..., 0])
    found = json.loads(json.dumps(quality.numbers(tracks, HORSE), allow_nan=False))
    assert found["confident"] is None
    assert quality.worst_moments(tracks, HORSE) == []
    assert "No animal was seen." in quality.page(tracks, HORSE, "empty")


def test_a_video_without_an_animal(nobody):
    cleaned = smooth(repair_swaps(nobody, HORSE))
    found = json.loads(json.dumps(quality.numbers(cleaned, HORSE), allow_nan=False))
    assert (found["frames"], found["seen"], found["keypoints"]) == (30, {}, {})
    assert quality.worst_moments(cleaned, HORSE) == []
    assert "No animal was seen." in quality.page(cleaned, HORSE, "empty")
