"""A Label Studio from the package index imports what is written for it, and what it exports comes back.

``LABEL_STUDIO`` names its executable; without, it is installed into an environment of its own (about 3 minutes, 1 GB).
"""

import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset.export import write_for_tool
from equistera.labelling.prelabels import Prelabels

pytestmark = pytest.mark.slow

#: The version that this was written against.
PACKAGE = "label-studio==1.23.2"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
#: Seconds until a server that makes its database has to answer.
PATIENCE = 600
HORSE = skeleton.load("horse26")
SIZE = (640, 480)
UNSURE = HORSE.index["l_ear"]
#: What the model sees in each picture: the upper left corner of each horse.
HORSES = {"one.png": [(60, 50)], "two.png": [(30, 40), (400, 250)], "other.png": [(200.25, 150.5)], "none.png": []}


class Server:
    """A running Label Studio, asked over its API."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            pytest.fail(f"{method} {path}: {error.code} {error.read()[:500].decode(errors='replace')}")
        return json.loads(content) if content[:1] in (b"{", b"[") else content


@pytest.fixture(scope="module")
def executable(tmp_path_factory):
    if own := os.environ.get("LABEL_STUDIO"):
        if not Path(own).is_file():
            pytest.fail(f"LABEL_STUDIO={own}: no such file")
        return own
    folder = tmp_path_factory.mktemp("label_studio")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = subprocess.run(
        [folder / "venv/bin/pip", "install", "--quiet", PACKAGE], capture_output=True, text=True, check=False
    )
    if pip.returncode:
        pytest.skip(f"{PACKAGE} cannot be installed here, and LABEL_STUDIO names none: {pip.stderr[-300:]}")
    return str(folder / "venv/bin/label-studio")


@pytest.fixture(scope="module")
def server(executable, tmp_path_factory):
    """On loopback, with a database and pictures of its own."""
    folder = tmp_path_factory.mktemp("served")
    for i, name in enumerate(HORSES):
        (folder / "photos").mkdir(exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(SIZE).save(folder / "photos" / name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "data"),
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(folder),
        # nothing is sent anywhere: without a network each try hangs until it is given up
        "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "", "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false",
    }  # fmt: skip
    # an environment of pytest's own must not be found before Label Studio's
    environment.pop("PYTHONPATH", None)
    command = [
        executable, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port),
        "--log-level", "WARNING", "--username", "ada@example.org", "--password", "not-a-secret-1",
        "--user-token", TOKEN, "--enable-legacy-api-token",
    ]  # fmt: skip
    with open(folder / "log.txt", "wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"Label Studio does not start: {(folder / 'log.txt').read_text()[-2000:]}")
                time.sleep(1)
        yield Server(port), folder
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def points_at(left, top):
    return np.array([(left + 22.0 * (k % 6), top + 26.0 * (k // 6)) for k in range(26)])


@pytest.fixture(scope="module")
def project(server, tmp_path_factory):
    """A project with the predictions imported: its id, its tasks by picture, and the folder of what was imported."""
    ls, folder = server
    out = tmp_path_factory.mktemp("pre")
    found = Prelabels(HORSE, 0.5)
    for i, (name, places) in enumerate(HORSES.items()):
        confidence = np.full(26, 0.9 - 0.1 * i)
        confidence[UNSURE] = 0.2
        boxes = [np.array([*np.subtract(place, 10), 140, 134]) for place in places]
        poses = [(points_at(*p), confidence, box, 1.0, "horse") for p, box in zip(places, boxes, strict=True)]
        found.add(name, SIZE, poses)
    prefix = "/data/local-files/?d=photos/"
    write_for_tool(found.ordered(None), "labelstudio", out / "tasks.json", HORSE, url_prefix=prefix, model="run 1a2b")
    interface = (out / "tasks_labelling.xml").read_text()
    made = ls.ask("POST", "/api/projects", {"title": "horses", "label_config": interface})
    ls.ask(
        "POST", "/api/storages/localfiles", {"project": made["id"], "path": str(folder / "photos"), "title": "photos"}
    )
    tasks = json.loads((out / "tasks.json").read_text())
    said = ls.ask("POST", f"/api/projects/{made['id']}/import", tasks)
    assert (said["task_count"], said["prediction_count"], said["annotation_count"]) == (4, 3, 0)
    listed = ls.ask("GET", f"/api/tasks?project={made['id']}&page_size=100")["tasks"]
    by_name = {task["data"]["image"].rsplit("/", 1)[-1]: ls.ask("GET", f"/api/tasks/{task['id']}") for task in listed}
    assert [task["data"]["image"] for task in listed] == [task["data"]["image"] for task in tasks]
    return made["id"], by_name, out


def test_predictions_are_there_shown_and_point_to_pictures(server, project):
    ls, folder = server
    project_id, tasks, out = project
    written = {task["data"]["image"].rsplit("/", 1)[-1]: task for task in json.loads((out / "tasks.json").read_text())}
    print({name: len(task["predictions"]) for name, task in tasks.items()})
    for name, task in tasks.items():
        assert len(task["predictions"]) == bool(HORSES[name])
        for prediction, own in zip(task["predictions"], written[name]["predictions"], strict=True):
            assert prediction["result"] == own["result"]
            assert (prediction["score"], prediction["model_version"]) == (own["score"], "run 1a2b")
        assert ls.ask("GET", task["data"]["image"]) == (folder / "photos" / name).read_bytes()
    # a task that is opened shows the prediction without a setting
    assert ls.ask("GET", f"/api/projects/{project_id}")["model_version"] == "run 1a2b"
    # the least sure first: that of which nothing is known, then the prediction of the least score
    assert next(iter(tasks)) == "none.png"
    assert ls.ask("GET", f"/api/projects/{project_id}/next")["id"] == tasks["none.png"]["id"]


@pytest.fixture(scope="module")
def annotated(server, project):
    """Every prediction accepted; one point of one.png moved, another one marked as hidden. Ids of annotations."""
    ls, _ = server
    _, tasks, _ = project
    ids = {}
    for name, task in tasks.items():
        if not task["predictions"]:
            continue
        [prediction] = task["predictions"]
        result = corrected(prediction["result"], 24.0) if name == "one.png" else prediction["result"]
        made = ls.ask(
            "POST", f"/api/tasks/{task['id']}/annotations", {"result": result, "parent_prediction": prediction["id"]}
        )
        ids[name] = made["id"]
    return ids


def corrected(result, pixels):
    """As Label Studio's editor stores it: withers moved to the right by so many pixels, l_knee hidden."""
    result = json.loads(json.dumps(result))
    moved = next(r for r in result if r["id"] == "horse0_withers")
    moved["value"]["x"] += 100 * pixels / SIZE[0]
    moved["origin"] = "prediction-changed"
    knee = next(r for r in result if r["id"] == "horse0_l_knee")
    place = {key: value for key, value in knee["value"].items() if key != "keypointlabels"}
    choice = {"type": "choices", "from_name": "visibility", "value": {**place, "choices": ["hidden"]}}
    return [*result, {**{k: v for k, v in knee.items() if k != "score"}, **choice}]


def exported(server, project, kind, folder):
    """Label Studio's export in a format, unpacked; what to give to --input."""
    ls, _ = server
    content = ls.ask("GET", f"/api/projects/{project[0]}/export?exportType={kind}")
    folder.mkdir(parents=True)
    if isinstance(content, list):
        (folder / "export.json").write_text(json.dumps(content))
        return folder / "export.json"
    zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
    return folder


def true_points(name, pixels):
    """By animal: float [K, 3] as the labels are."""
    found = []
    for place in HORSES[name]:
        points = np.column_stack([points_at(*place), np.full(26, 2)])
        points[UNSURE] = 0
        if name == "one.png":
            points[HORSE.index["withers"], 0] += pixels
            points[HORSE.index["l_knee"], 2] = 1
        found.append(points)
    return found


def compare(path, pixels, exact, hidden, names):
    """Asserts that an annotation file has the points, within ``exact`` pixels, of these pictures."""
    content = json.loads(path.read_text())
    files = {image["id"]: image["file_name"].rsplit("/", 1)[-1].split("__")[-1] for image in content["images"]}
    assert sorted(files.values()) == sorted(names)
    for image_id, name in files.items():
        animals = [a for a in content["annotations"] if a["image_id"] == image_id]
        animals.sort(key=lambda animal: animal["bbox"][0])
        expected = true_points(name, pixels)
        assert len(animals) == len(expected)
        for animal, points, place in zip(animals, expected, HORSES[name], strict=True):
            found = np.reshape(animal["keypoints"], (-1, 3))
            assert np.abs(found[:, :2] - points[:, :2]).max() <= exact
            flags = points[:, 2] if hidden else np.where(points[:, 2] > 0, 2, 0)
            assert found[:, 2].tolist() == flags.tolist()
            assert animal["bbox"] == pytest.approx([*np.subtract(place, 10), 140, 134], abs=0.01)


#: Of each format: how exact it is, whether it says what is hidden, and what it leaves out.
EXPORTS = {
    "JSON": (0.002, True, ()),
    "JSON_MIN": (0.002, False, ()),
    "COCO": (0.501, False, ("two.png",)),
    "COCO_WITH_IMAGES": (0.501, False, ("two.png",)),
    "YOLO": (0.002, False, ()),
    "YOLO_WITH_IMAGES": (0.002, False, ()),
}
LABELLED = [name for name, places in HORSES.items() if places]


@pytest.mark.parametrize("kind", EXPORTS)
def test_exports_become_the_same_data_set(server, project, annotated, run_tool, tmp_path, kind):
    source = exported(server, project, kind, tmp_path / "export")
    done = run_tool(
        "convert_dataset.py", "--input", source, "--output", tmp_path / "data/annotations", "--split", "none",
        "--img-dir", source if kind.endswith("_IMAGES") else server[1] / "photos", cwd=tmp_path,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    exact, hidden, without = EXPORTS[kind]
    names = [name for name in LABELLED if name not in without]
    compare(tmp_path / "data/annotations/all.json", 24.0, exact, hidden, names)
    assert all(name in done.stdout for name in without)


@pytest.fixture(scope="module")
def data_set(server, project, annotated, run_tool, tmp_path_factory):
    """Of the first export; then the point is moved once more in Label Studio."""
    ls, folder = server
    root = tmp_path_factory.mktemp("data")
    source = exported(server, project, "JSON", root / "export")
    done = run_tool(
        "convert_dataset.py", "--input", source, "--output", root / "annotations", "--split", "none",
        "--img-dir", folder / "photos", cwd=root,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before = ls.ask("GET", f"/api/annotations/{annotated['one.png']}")["result"]
    after = json.loads(json.dumps(before))
    next(r for r in after if r["id"] == "horse0_withers")["value"]["x"] += 100 * 16 / SIZE[0]
    ls.ask("PATCH", f"/api/annotations/{annotated['one.png']}", {"result": after})
    return root


@pytest.mark.parametrize("kind", EXPORTS)
def test_a_correction_is_merged_and_nothing_else_changes(server, project, data_set, run_tool, tmp_path, kind):
    root = shutil.copytree(data_set, tmp_path / "data")
    path = root / "annotations/all.json"
    before = path.read_text()
    source = exported(server, project, kind, tmp_path / "export")
    done = run_tool("convert_dataset.py", "--input", source, "--output", path.parent, "--update", cwd=tmp_path)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert "1 point moved" in done.stdout
    numbers = [
        (old, new) for old, new in zip(before.split(", "), path.read_text().split(", "), strict=True) if old != new
    ]
    assert len(numbers) == 1
    assert float(numbers[0][1]) - float(numbers[0][0]) == pytest.approx(16, abs=0.51)
    compare(path, 40.0, EXPORTS[kind][0], True, LABELLED)
    [table] = (path.parent / "updates").glob("*/changes.csv")
    [row] = csv.DictReader(io.StringIO(table.read_text()))
    assert (row["picture"], row["keypoint"], row["change"]) == ("one.png", "withers", "moved")
