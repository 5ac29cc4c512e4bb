"""What a run is, is worked out once and in one place."""

import ast
import collections
import functools
from pathlib import Path

import pytest

import equistera
from equistera.errors import UserError
from equistera.mm.network import checkpoint
from equistera.mm.network.model import SkeletonPoseEstimator
from equistera.mm.run import settle as settling
from equistera.mm.run.train import TrainOptions, train

DEMO = "configs/demo_rtmpose_t.py"
MM = Path(equistera.__file__).parent / "mm"

#: Names that configs and parts of them go by.
CONFIGS = {"config", "cfg", "settings", "loader", "probe", "own", "phase", "metric"}


def writes(tree: ast.AST):
    """Lines in which something within a config is set or changed."""
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        targets = targets if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) else []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            changing = node.func.attr in {"update", "setdefault", "pop", "popitem", "clear", "merge_from_dict"}
            targets = [node.func] if changing else []
        flat = [part for t in targets for part in (t.elts if isinstance(t, (ast.Tuple, ast.List)) else [t])]
        for target in flat:
            if isinstance(target, (ast.Attribute, ast.Subscript)) and CONFIGS & {*_chain(target.value)}:
                yield node.lineno


def _chain(node: ast.AST):
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Attribute):
            yield node.attr
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def test_a_config_is_written_to_in_one_module():
    found = {
        path.relative_to(MM).as_posix(): lines
        for path in MM.rglob("*.py")
        if (lines := [*writes(ast.parse(path.read_text(encoding="utf-8")))])
    }
    # a config of MMPose's becomes one of ours while it is read, the detector's is MMDetection's own, an exported
    # network has none until its data set gets one, and what interruption.py calls a loader is torch's
    others = {"adoption.py", "prediction/detect.py", "prediction/exported_network.py", "run/interruption.py"}
    assert found.keys() == {"config.py", *others}, found


@pytest.fixture
def counted(monkeypatch):
    """How often files are parsed and networks built."""
    counts = collections.Counter()

    def count(module, name, key):
        original = getattr(module, name)

        @functools.wraps(original)
        def counting(*args, **kwargs):
            counts[key(*args, **kwargs)] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, counting)

    count(equistera.dataset.coco, "_parsed", lambda path, skeleton: Path(path).name)
    count(checkpoint, "load", lambda path, *_, **__: Path(path).name)
    count(SkeletonPoseEstimator, "__init__", lambda *_, **__: "network")
    return counts


def test_annotations_and_weights_are_read_once_and_the_network_built_once(
    horses, tiny, trained, tmp_path, counted, monkeypatch
):
    monkeypatch.setattr(equistera.dataset.coco, "_known", {})
    options = tiny(**{"train_cfg.max_epochs": 1})
    given = {"data_root": str(horses), "init": str(trained / "best.pth"), "cfg_options": options}
    train(TrainOptions(DEMO, str(tmp_path / "run"), **given))
    assert {name: counted[name] for name in ("train.json", "val.json", "best.pth")} == {
        "train.json": 1,
        "val.json": 1,
        "best.pth": 1,
    }
    assert counted["network"] == 1


def test_settling_writes_nothing(horses, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = TrainOptions(DEMO, str(tmp_path / "run"), str(horses), cfg_options=tiny())
    spec = settling.settle(options)
    assert (spec.plan.schedule.max_epochs, spec.work_dir) == (3, tmp_path / "run")
    assert not list(tmp_path.iterdir())
    with pytest.raises(AttributeError):
        spec.plan = None
    with pytest.raises(UserError, match="no such checkpoint"):
        settling.settle(TrainOptions(DEMO, str(tmp_path / "run"), str(horses), init="no.pth", cfg_options=tiny()))
