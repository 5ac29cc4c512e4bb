"""Smoothing takes the noise away, and leaves what an animal does."""

import numpy as np
import pytest
from moving import HORSE, STRIDE, frame_times, same, seen, true_points
from scipy.signal import savgol_filter

from equistera.errors import UserError
from equistera.tracks.smooth import smooth
from equistera.tracks.tracks import FILLED, SMOOTHED, Tracks

HOOVES = [HORSE.index[f"{leg}_hoof"] for leg in ("lf", "rf", "lh", "rh")]


def rms(values):
    return np.sqrt(np.nanmean(np.square(values)))


def moving_horse(gait, fps, noise, seed=0, **wrong):
    times = frame_times(400, fps)
    truth = true_points(times, gait, phase=0.1 * seed)[:, None]
    return truth, seen(truth, times, noise, seed, **wrong)


@pytest.mark.parametrize("method", ["kalman", "savgol"])
@pytest.mark.parametrize(("gait", "fps", "noise"), [("walk", 25, 1.5), ("trot", 25, 3.0), ("trot", 60, 2.0)])
def test_error_is_smaller_than_before(method, gait, fps, noise):
    truth, tracks = moving_horse(gait, fps, noise)
    smoothed = smooth(tracks, method)
    assert rms(smoothed.points - truth) < 0.8 * rms(tracks.raw - truth)
    assert np.array_equal(smoothed.raw, tracks.raw)


@pytest.mark.parametrize("method", ["kalman", "savgol"])
@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_a_still_point_jitters_less_than_half(method, noise):
    truth, tracks = moving_horse("walk", 25, noise)
    still = np.repeat(truth[:1], len(truth), axis=0)
    tracks = seen(still, tracks.times, noise)
    before, after = (rms(np.diff(points, 2, axis=0)) for points in (tracks.raw, smooth(tracks, method).points))
    assert after < 0.5 * before


def stride(values, phase, harmonics=6):
    """A track's course over one stride, [200], as a Fourier series, which the noise has left."""

    def terms(turns):
        angles = 2 * np.pi * np.outer(turns, np.arange(1, harmonics + 1))
        return np.concatenate([np.ones((len(turns), 1)), np.cos(angles), np.sin(angles)], axis=1)

    return terms(np.arange(200) / 200) @ np.linalg.lstsq(terms(phase), values, rcond=None)[0]


def courses(gait, fps, noise, keypoints, videos=5):
    """Heights over the stride [keypoints, 200], true and smoothed, from so many videos."""
    found, true, phases = [], [], []
    for seed in range(videos):
        truth, tracks = moving_horse(gait, fps, noise, seed)
        found.append(-smooth(tracks).points[:, 0, keypoints, 1])
        true.append(-truth[:, 0, keypoints, 1])
        phases.append(tracks.times / STRIDE[gait] + 0.1 * seed)
    phase = np.concatenate(phases)
    return stride(np.concatenate(true), phase).T, stride(np.concatenate(found), phase).T


@pytest.mark.parametrize(("gait", "fps", "noise"), [("walk", 25, 1.5), ("trot", 25, 1.5), ("trot", 50, 3.0)])
def test_peaks_of_hooves_stay_where_they_are_and_keep_their_height(gait, fps, noise):
    for true, found in zip(*courses(gait, fps, noise, HOOVES), strict=True):
        assert np.ptp(found) > 0.98 * np.ptp(true)
        shift = abs(int(found.argmax()) - int(true.argmax()))
        assert min(shift, 200 - shift) / 200 * STRIDE[gait] * fps < 1


@pytest.mark.parametrize(("gait", "fps", "noise"), [("walk", 25, 3.0), ("trot", 25, 1.5), ("trot", 60, 3.0)])
def test_the_withers_go_on_bobbing(gait, fps, noise):
    """4.5 pixels up and down; what were smoothed away here would be an asymmetry hidden."""
    (true,), (found,) = courses(gait, fps, noise, [HORSE.index["withers"]])
    assert np.ptp(found) > 0.98 * np.ptp(true)


def test_wrong_points_are_left_out():
    truth, tracks = moving_horse("trot", 30, 1.5, outliers=0.03, missing=0.03)
    smoothed = smooth(tracks)
    off = np.hypot(*np.moveaxis(smoothed.points - truth, -1, 0))
    assert np.nanquantile(off, 0.99) < 6
    wild = np.hypot(*np.moveaxis(tracks.raw - truth, -1, 0)) > 20
    assert (smoothed.changed[wild] == FILLED).mean() > 0.97
    # of the others a few
    assert (smoothed.changed[~wild] & FILLED > 0).mean() < 0.05


def test_spread_says_how_far_off_points_are():
    truth, tracks = moving_horse("trot", 30, 2.0)
    smoothed = smooth(tracks)
    within = np.abs(smoothed.points - truth) < 1.96 * smoothed.spread[..., None]
    assert 0.9 < within.mean() < 0.99
    raw = tracks.raw.copy()
    raw[100:104] = np.nan
    spread = smooth(Tracks.of(HORSE.names, tracks.times, raw, tracks.confidence)).spread[:, 0]
    assert (spread[102] > 1.5 * spread[90]).all()


def with_confidence(tracks, confidence, frames, other):
    values = np.full(tracks.confidence.shape, confidence)
    values[frames] = other
    return tracks.with_(confidence=values)


@pytest.mark.parametrize("method", ["kalman", "savgol"])
def test_short_gaps_are_filled_and_long_ones_stay(method):
    truth, tracks = moving_horse("walk", 25, 1.0)
    raw, confidence = tracks.raw.copy(), np.full(tracks.confidence.shape, 0.95)
    raw[100:105] = np.nan
    confidence[100:105] = np.nan
    confidence[200:205, 0, 3] = 0.1
    raw[300:310] = np.nan
    raw[:2], raw[-3:] = np.nan, np.nan
    smoothed = smooth(Tracks.of(HORSE.names, tracks.times, raw, confidence), method, max_gap=0.2)
    assert rms(smoothed.points[100:105] - truth[100:105]) < 6
    assert (smoothed.changed[100:105] == FILLED).all()
    assert (smoothed.changed[200:205, 0, 3] == FILLED).all()
    assert (smoothed.changed[200:205, 0, 4] == SMOOTHED).all()
    for gap in (slice(300, 310), slice(0, 2), slice(397, 400)):
        assert np.isnan(smoothed.points[gap]).all()
        assert not smoothed.changed[gap].any()
    assert smoothed.known[310:397].all()
    assert np.array_equal(smoothed.raw, raw, equal_nan=True)


@pytest.mark.parametrize("method", ["kalman", "savgol"])
def test_nothing_leads_across_a_long_gap(method):
    """What lies behind it makes no difference to what lies before."""
    _, tracks = moving_horse("walk", 25, 1.0)
    raw = tracks.raw.copy()
    raw[150:170] = np.nan
    other = raw.copy()
    other[170:] += 300
    before, after = (
        smooth(Tracks.of(HORSE.names, tracks.times, points, tracks.confidence), method).points
        for points in (raw, other)
    )
    assert np.allclose(before[:150], after[:150], atol=0.3)
    assert np.allclose(before[170:] + 300, after[170:], atol=0.3)


def test_a_gap_between_wild_frames_is_filled_between_its_ends():
    """As at a crossing, where the model fails more and more before it sees nothing."""
    times = np.arange(60) / 25
    points = np.stack([100 + 3.0 * np.arange(60), np.full(60, 80.0)], axis=-1)[:, None, None] + np.zeros((1, 3, 1))
    points += np.random.default_rng(0).normal(0, 1, points.shape)
    astray = 2.0 * np.array([1, 3, 6, 10, 15, 21])[:, None, None]
    points[22:28, ..., 0] += astray
    points[34:40, ..., 0] += astray[::-1]
    points[28:34] = np.nan
    tracks = Tracks.of(("a", "b", "c"), times, points, np.where(np.isfinite(points[..., 0]), 0.9, np.nan))
    found = smooth(tracks, "kalman")
    filled, ends = found.points[28:34, 0], found.points[[27, 34], 0]
    apart = np.linalg.norm(ends[1] - ends[0], axis=-1)
    line = np.linspace(ends[0], ends[1], 8)[1:-1]
    # freely followed, 24 px beyond ends that are 20 px apart
    assert (np.linalg.norm(filled - line, axis=-1).max(axis=0) <= 0.5 * apart + 1e-6).all()
    assert (found.spread[30, 0] > found.spread[20, 0]).all()


def test_savgol_is_that_of_scipy():
    _, tracks = moving_horse("trot", 30, 2.0)
    found = smooth(with_confidence(tracks, 0.9, slice(0), 0), "savgol").points
    assert np.allclose(found, savgol_filter(tracks.raw, 7, 3, axis=0))


def test_uneven_times_are_kept():
    times = np.cumsum(np.random.default_rng(3).choice([0.02, 0.04, 0.06], 300))
    truth = true_points(times, "walk")[:, None]
    tracks = seen(truth, times, 1.5)
    for method in ("kalman", "savgol"):
        assert rms(smooth(tracks, method).points - truth) < 0.9 * rms(tracks.raw - truth)


@pytest.mark.parametrize("method", ["kalman", "savgol"])
def test_without_gaps_nothing_is_filled_whatever_the_times(method):
    """Where two frames are as long as a usual one, the point between them is a gap all the same."""
    times = np.cumsum(np.tile([0.04, 0.04, 0.04, 0.02, 0.02], 20))
    points = true_points(times, "walk")[:, None]
    points[3::5] = np.nan
    tracks = Tracks.of(HORSE.names, times, points, np.where(np.isnan(points[..., 0]), np.nan, 0.95))
    assert not (smooth(tracks, method, max_gap=0).changed & FILLED).any()
    assert not (smooth(tracks, method, max_gap=0.01).changed & FILLED).any()
    assert (smooth(tracks, method, max_gap=0.02).changed[3::5] == FILLED).all()


def test_none_changes_nothing():
    _, tracks = moving_horse("walk", 25, 2.0)
    assert same(smooth(tracks, "none"), tracks)


@pytest.mark.parametrize("frames", [1, 2, 4, 6])
@pytest.mark.parametrize("method", ["kalman", "savgol"])
def test_videos_of_a_few_frames(frames, method):
    times = frame_times(frames)
    tracks = seen(true_points(times)[:, None], times, noise=1.0)
    tracks = with_confidence(tracks, 0.9, slice(0), 0)
    smoothed = smooth(tracks, method)
    assert np.abs(smoothed.points - tracks.points).max() < 10


@pytest.mark.parametrize("method", ["kalman", "savgol"])
def test_an_animal_that_is_never_seen(method):
    raw = np.full((20, 1, len(HORSE), 2), np.nan)
    tracks = Tracks.of(HORSE.names, frame_times(20), raw, raw[..., 0])
    assert same(smooth(tracks, method), tracks)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"method": "kalmann"}, "did you mean 'kalman'"), ({"max_gap": -1}, "0 s or more"), ({"threshold": 2}, "0 to 1")],
)
def test_options_that_mean_nothing(options, said):
    _, tracks = moving_horse("walk", 25, 2.0)
    with pytest.raises(UserError, match=said):
        smooth(tracks, **options)
