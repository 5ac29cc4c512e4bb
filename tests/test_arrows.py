"""The one-way arrows of the design: the pure part needs neither torch nor the MM* packages; ``mm`` is in layers."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import equistera

PACKAGE = Path(equistera.__file__).parent
HEAVY = ("torch", "torchvision", "mmengine", "mmcv", "mmpose", "mmdet")
PURE = sorted(
    module.name
    for module in pkgutil.walk_packages([str(PACKAGE)], "equistera.")
    if not module.name.startswith("equistera.mm")
)
#: Packages of ``equistera.mm``, the lowest first.
LAYERS = ("data", "network", "evaluation", "run", "prediction", "labelling", "export", "experiments")


def imports(path):
    """Names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def name_of(path):
    return str(path.relative_to(PACKAGE))


def test_pure_modules_import_without_torch_and_mm():
    code = "\n".join(
        ["import sys", *(f"sys.modules[{name!r}] = None" for name in HEAVY), *(f"import {name}" for name in PURE)]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"equistera.skeleton", "equistera.dataset", "equistera.synthetic"} <= set(PURE)


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", [p for p in FILES if PACKAGE / "mm" not in p.parents], ids=name_of)
def test_nothing_pure_imports_mm(path):
    assert not {name for name in imports(path) if name.startswith("equistera.mm") or name.split(".")[0] in HEAVY}


@pytest.mark.parametrize(
    "path", [p for layer in LAYERS for p in FILES if PACKAGE / "mm" / layer in p.parents], ids=name_of
)
def test_a_layer_of_mm_imports_only_those_below(path):
    above = LAYERS[LAYERS.index(path.relative_to(PACKAGE).parts[1]) + 1 :]
    ours = {name.split(".")[2] for name in imports(path) if name.startswith("equistera.mm.")}
    assert not ours & {*above}
