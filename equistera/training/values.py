"""What a person may write into a config or a JSON file: shapes are pydantic models, findings are in our words."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import pydantic

from equistera.words import did_you_mean


def is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float can hold; true and false are none."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def number(
    low: float = -math.inf, high: float = math.inf, above: bool = False, below: bool = False
) -> pydantic.PlainValidator:
    """What makes a field hold a finite number within bounds: ``Annotated[float, number(0, 1)]``.

    Args:
        low: Least value.
        high: Greatest value.
        above: Whether ``low`` itself is excluded.
        below: Whether ``high`` itself is excluded.
    """
    bounds = [f"{'above' if above else 'at least'} {low:g}"] if low > -math.inf else []
    bounds += [f"{'below' if below else 'at most'} {high:g}"] if high < math.inf else []
    expected = f"a number {' and '.join(bounds)}".rstrip()

    def check(value: Any) -> Any:
        fits = is_number(value) and (low < value if above else low <= value)
        return _checked(fits and (value < high if below else value <= high), expected, value)

    return pydantic.PlainValidator(check)


def count(least: int = 1, most: int | None = None) -> pydantic.PlainValidator:
    """What makes a field hold a whole number from ``least`` to ``most``: ``Annotated[int, count()]``."""
    expected = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"

    def check(value: Any) -> Any:
        return _checked(type(value) is int and least <= value <= (value if most is None else most), expected, value)

    return pydantic.PlainValidator(check)


def _checked(fits: bool, expected: str, value: object) -> object:
    if not fits:
        raise ValueError(f"expected {expected}, found {value!r}")
    return value


def _is_flag(value: object) -> object:
    return _checked(type(value) is bool, "True or False", value)


#: The type of a field that holds true or false.
Flag = Annotated[bool, pydantic.PlainValidator(_is_flag)]


class Section(pydantic.BaseModel):
    """A dictionary of a config whose fields are all known; a field's ``description`` says what is expected there."""

    model_config = pydantic.ConfigDict(extra="forbid")


class Part(Section):
    """A dictionary of a config of which others read more fields."""

    model_config = pydantic.ConfigDict(extra="ignore")


def problems_of(shape: type[Section], content: object, where: str = "") -> list[str]:
    """What is wrong with a part of a config, each finding with its key's full dotted path.

    Args:
        shape: What it must be.
        content: As the config has it.
        where: The key of the content; nothing for a whole config.
    """
    try:
        shape.model_validate(content)
    except pydantic.ValidationError as error:
        return [_in_words(shape, finding, where) for finding in error.errors(include_url=False)]
    return []


def _in_words(shape: type[Section], finding: dict, where: str) -> str:
    *parents, name = finding["loc"] or ("",)
    above = ".".join(filter(None, [where, *map(str, parents)]))
    path = ".".join(filter(None, [above, str(name)]))
    found = finding["input"]
    match finding["type"]:
        case "missing":
            return f"{above or 'the config'}: {name!r} is missing"
        case "extra_forbidden":
            known = list(_shape_at(shape, parents).model_fields)
            return f"{above}: unknown field {name!r}{did_you_mean(str(name), known)}"
        case "value_error" | "assertion_error":
            return f"{path}: {finding['ctx']['error']}".removeprefix(": ")
    return f"{path}: expected {_expected(shape, finding['loc'])}, found {found!r}"


def _expected(shape: type[Section], loc: Sequence[str | int]) -> str:
    *parents, name = loc or ("",)
    field = _shape_at(shape, parents).model_fields.get(name)
    if field is not None and field.description:
        return field.description
    required = (key for key, entry in _shape_at(shape, loc).model_fields.items() if entry.is_required())
    return f"dict({'=, '.join(required)}=)"


def _shape_at(shape: type[Section], loc: Sequence[str | int]) -> type[Section]:
    """The section that a place within another is meant to be."""
    for name in loc:
        if name in shape.model_fields:
            shape = next(_sections(shape.model_fields[name].annotation), shape)
    return shape


def _sections(annotation: object) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _sections(part)
