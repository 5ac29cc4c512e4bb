"""The one-way arrows of the design: the pure part works without torch and the MM* packages, and starts fast."""

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


def test_pure_modules_import_without_torch_and_mm():
    code = "\n".join(
        ["import sys", *(f"sys.modules[{name!r}] = None" for name in HEAVY), *(f"import {name}" for name in PURE)]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {"equistera.skeleton", "equistera.dataset", "equistera.synthetic"} <= set(PURE)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_pure_imports_mm(path):
    if path.relative_to(PACKAGE).parts[0] == "mm":
        pytest.skip("this is the part that may")
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
    assert not {name for name in imported if name.startswith("equistera.mm") or name.split(".")[0] in HEAVY}
