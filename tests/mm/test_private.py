"""Nothing private of MMEngine, MMPose, MMDetection or mmcv is touched: what they may change in any release."""

import ast
import functools
import importlib
import inspect
import pkgutil
import textwrap

import pytest

import equistera
import equistera.mm.register
from equistera import PROJECT

LIBRARIES = ("mmengine", "mmpose", "mmdet", "mmcv")
SOURCES = sorted((PROJECT / "equistera").rglob("*.py"))

#: Private names of others than these libraries that are used on an object, each with a reason at its place.
OF_OTHERS = {
    "_iterator", "_workers", "_shutdown_workers", "_SIGCHLD_handler_set",  # torch's loader
    "_is_avx512_bf16_supported", "_is_amx_tile_supported",  # torch.cpu
    "_BatchNorm", "_on_queue_feeder_error", "_exit",  # torch.nn, multiprocessing, os
    "_v_attrs", "_v_file",  # PyTables documents them so: its nodes leave other names to what they hold
}  # fmt: skip


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


@functools.cache
def own_names() -> frozenset[str]:
    """Private names that the package gives itself: functions, methods, attributes, constants."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found |= {node.attr} if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") else set()
    return frozenset(name for name in found if is_private(name))


def private_of(kind: type) -> set[str]:
    """Private names in a class: what it defines, and what its methods use of themselves."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls", "super()"):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return {name for name in names if is_private(name) and name != "_"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_private_name_of_a_library_is_imported_or_used_on_an_object(path):
    ours, found = own_names(), []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            found += [name.name for name in node.names if is_private(name.name)]
            found += [part for part in node.module.split(".") if is_private(part)]
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not own and node.attr not in OF_OTHERS | ours:
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr", "delattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant) and is_private(name.value) and name.value not in OF_OTHERS | ours:
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert not found


def classes() -> list[type]:
    """Classes of the package with a parent in one of the libraries."""
    found = {}
    for module in pkgutil.walk_packages(equistera.mm.__path__, "equistera.mm."):
        for kind in vars(importlib.import_module(module.name)).values():
            own = isinstance(kind, type) and kind.__module__.startswith("equistera")
            if own and any(parent.__module__.split(".")[0] in LIBRARIES for parent in kind.__mro__):
                found[kind.__qualname__] = kind
    return list(found.values())


@pytest.mark.parametrize("kind", classes(), ids=lambda kind: kind.__qualname__)
def test_no_class_uses_or_replaces_a_private_name_of_its_parents(kind):
    theirs = [parent for parent in kind.__mro__ if parent.__module__.split(".")[0] in LIBRARIES]
    private = set().union(*map(private_of, theirs))
    assert not private_of(kind) & private
