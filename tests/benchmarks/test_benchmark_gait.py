"""benchmarks/gait.py: what the renderer says of its horses is what is measured of their points."""

import gait as benchmark
import pytest

from equistera.gait import measures


def test_the_renderers_truth_is_measured(monkeypatch):
    monkeypatch.setattr(measures, "DRAWS", 10)
    film = benchmark.film_of(2, seed=4000, seconds=5.0)
    assert film.motions[0].asymmetry == {"head": 0.04}
    pixels, metres = benchmark.points_of(film)
    true = benchmark.truth_of(film, metres)
    assert true["head MinDiff"] == pytest.approx(0.04, abs=0.002)
    found = measures.measure(benchmark.noisy(film, pixels, 0.0, 1), "animal1")
    rows, counts = benchmark.defaultdict(list), {"verdicts": [], "wrong": [], "silent": 0}
    benchmark.count(film, found, true, rows, counts)
    summed = benchmark.summed(rows)
    assert {"trot stride", "trot leg's duty", "trot head MinDiff", "trot carpus range"} <= set(summed)
    assert summed["trot stride"]["error"] < 0.004
    assert summed["trot leg's duty"]["largest"] < 0.03
    assert summed["trot head MinDiff"]["error"] < 0.008
    assert not counts["wrong"]
    assert all(row["covered"] == 1 for row in summed.values())
