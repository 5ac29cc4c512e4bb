"""The values of ``--cfg-options KEY=VALUE``."""

from __future__ import annotations

import ast
import contextlib
import re
import warnings

from equistera.errors import UserError

#: A quoted path of Windows as people write it, whose backslashes Python would take for the start of a newline or tab.
_WINDOWS_PATH = re.compile(r"""(?<![^\s\[({,=:])(?P<quote>['"])[A-Za-z]:\\(?!\\)[^'"]*(?P=quote)""")


def _doubled(path: re.Match) -> str:
    return path.group().replace("\\", "\\\\")


def parse_value(text: str) -> object:
    """What stands behind the ``=``, read as a config would write it; nothing is executed.

    Numbers and fractions (``1/3``), ``True``, ``None``, quoted strings, ``[...]``, ``(...)``, ``{...}`` and
    ``dict(...)`` are what they are in Python; ``a,b`` is a list. Words and paths need no quotes, and ``true`` is
    ``True``.

    Args:
        text: As the shell hands it over.

    Returns:
        Plain values.

    Raises:
        UserError: Brackets or quotes do not match, or are nested too deeply.
    """
    # in brackets, so that a,b becomes a list and (a,b) stays a tuple
    source = f"[{_WINDOWS_PATH.sub(_doubled, text.strip())}]"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            listed = ast.parse(source, mode="eval").body
        values = [_value(element, source) for element in getattr(listed, "elts", ())]
    except (SyntaxError, ValueError, AttributeError):
        return _unparsable(text.strip())
    except (RecursionError, MemoryError) as error:
        raise UserError(f"cannot read {text[:60]!r}...: brackets are nested too deeply") from error
    return values[0] if len(values) == 1 else values or ""


def _value(node: ast.expr, source: str) -> object:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.BinOp(
            left=ast.Constant(value=int() | float() as top),
            op=ast.Div(),
            right=ast.Constant(value=int() | float() as bottom),
        ) if bottom:
            return top / bottom
        case ast.List(elts=elements):
            return [_value(element, source) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(_value(element, source) for element in elements)
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_value(k, source): _value(v, source) for k, v in zip(keys, values, strict=True)}
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(k.arg for k in keywords):
            return {keyword.arg: _value(keyword.value, source) for keyword in keywords}
    # words, paths and names of metrics, which happen to be Python as well
    return _word(ast.get_source_segment(source, node))


def _word(text: str) -> object:
    """A number, a truth value, None, or the text itself, as MMEngine reads a value from the command line."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    known = {"true": True, "false": False}
    return None if text == "None" else known.get(text.lower(), text)


def _unparsable(text: str) -> object:
    """What is no Python: a path, or a list of paths."""
    if text[:1] in ("[", "(", "{", "'", '"') or text.startswith("dict("):
        inner, ends = text[1:-1], text[:1] + text[-1:]
        if ends not in ("[]", "()") or any(bracket in inner for bracket in "[](){}'\""):
            raise UserError(
                f"cannot read {text!r}: brackets or quotes do not match",
                hint="Quote strings within brackets, and the whole for the shell: \"key=['a b', 'c']\"",
            )
        words = [_word(word.strip()) for word in inner.split(",") if word.strip()]
        return words if ends == "[]" else tuple(words)
    words = [_word(word.strip()) for word in text.split(",")]
    return words[0] if len(words) == 1 else words
