import json

import pytest


@pytest.fixture(scope="session")
def own_skeleton_file():
    """Writes a user's own skeleton with points of these names."""

    def write(path, names, correspondence=None):
        points = [{"name": name, "half": "upper", "sigma": 0.05} for name in names]
        path.write_text(json.dumps({"keypoints": points, "correspondence": correspondence or {}}), encoding="utf-8")
        return path

    return write
