"""Settings in the text of a dumped MMEngine config, parsed and never executed."""

from __future__ import annotations

import ast
from typing import Any


def settings_in(text: str) -> dict[str, object]:
    """Top-level settings that are literals; what is anything else, or lies deeper than Python reads, is None.

    Args:
        text: Python as MMEngine dumps it: assignments of constants, lists, tuples and ``dict(key=value)`` calls.

    Returns:
        By name; empty where the text is no Python.
    """
    try:
        tree = ast.parse(text)
        assignments = [node for node in tree.body if isinstance(node, ast.Assign)]
        return {
            node.targets[0].id: _literal(node.value) for node in assignments if isinstance(node.targets[0], ast.Name)
        }
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return {}


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {keyword.arg: _literal(keyword.value) for keyword in node.keywords if keyword.arg}
    if isinstance(node, ast.Dict):
        pairs = [(_literal(key), value) for key, value in zip(node.keys, node.values, strict=True) if key]
        return {key: _literal(value) for key, value in pairs if isinstance(key, (str, int))}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _literal(node.operand)
        return -value if type(value) in (int, float) else None
    return node.value if isinstance(node, ast.Constant) else None
