"""What the report draws: every kind of finding, and nothing out of proportion."""

from __future__ import annotations

import numpy as np
import pytest
import verify_horses

from equistera.dataset.verify import report
from equistera.dataset.verify.command import verify
from equistera.files import write_json

HORSE26 = verify_horses.HORSE26


@pytest.fixture
def result(tmp_path):
    """A nose at x = 99999, a knee far from its elbow, and both clicked at one place."""
    path, content = verify_horses.write_set(tmp_path, 40)
    for number, points in (
        (3, {"nose": (99999, 100, 2)}),
        (5, {"l_elbow": (300, 100, 2), "l_knee": (5, 470, 2)}),
        (6, {"l_elbow": (200, 200, 2), "l_knee": (200, 200, 2)}),
    ):
        for name, values in points.items():
            k = 3 * HORSE26.index[name]
            content["annotations"][number]["keypoints"][k : k + 3] = values
    write_json(path, content)
    return verify([path], HORSE26, decode=False)


def test_every_kind_of_finding_is_drawn(result):
    drawn = report.gallery_of(result.files, result.findings)
    titles = [finding.check.title for finding, _, picture in drawn if picture.startswith("<img")]
    concerned = {f.check.title for f in result.findings if any(item.annotation is not None for item in f.items)}
    assert "limbs whose length does not fit the animal" in concerned
    assert set(titles) == concerned


def test_a_point_far_away_changes_no_proportions(result, monkeypatch):
    drawn = []
    monkeypatch.setattr(report, "draw_pose", lambda canvas, points, *_, **__: drawn.append((canvas.shape, points)))
    report.gallery_of(result.files, result.findings)
    report.sheet_of(result.files)
    assert drawn
    for (height, width, _), points in drawn:
        assert np.nanmax(points[:, 0]) <= 1.1 * width
        assert np.nanmax(points[:, 1]) <= 1.1 * height
