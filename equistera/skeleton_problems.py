"""What is wrong with the content of a skeleton file: everything at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection

from equistera.training.values import is_number
from equistera.words import did_you_mean, fold

HALVES = ("upper", "lower")
SIDES = ("left", "middle", "right")
MATCHES = ("exact", "near")

_SKELETON_FIELDS = {"description", "note", "keypoints", "links", "correspondence"}
_KEYPOINT_FIELDS = {"name", "description", "swap", "half", "side", "sigma", "weight", "color", "aliases"}


def problems_of(content: object, others: Callable[[str], Collection[str]]) -> list[str]:
    """Why a skeleton cannot be made of what ``json.load`` returned; empty if it can.

    Args:
        content: What stands in the file.
        others: Keypoint names of another skeleton by its name; empty where it is not known.
    """
    if not isinstance(content, dict):
        return [f"expected an object with 'keypoints' and 'links', found {type(content).__name__}"]
    if any("\ud800" <= letter <= "\udfff" for letter in json.dumps(content, ensure_ascii=False)):
        return ["a text holds half of a character (a surrogate such as '\\ud800'), which no file can be written with"]
    problems = [
        f"unknown field {key!r}{did_you_mean(key, _SKELETON_FIELDS)}" for key in content.keys() - _SKELETON_FIELDS
    ]
    entries = content.get("keypoints")
    if not isinstance(entries, list) or not entries:
        return [*problems, "'keypoints' must be a list with at least one entry"]
    named = []
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"].strip():
            problems.append(f"keypoint {i} has no name")
        else:
            named.append(entry)
            problems += _keypoint_problems(entry)
    names = {entry["name"] for entry in named}
    owned = [{fold(name) for name in (entry["name"], *_strings(entry.get("aliases")))} for entry in named]
    owners = Counter(name for names_of_one in owned for name in names_of_one)
    for entry, names_of_one in zip(named, owned, strict=True):
        if any(owners[name] > 1 for name in names_of_one):
            problems.append(f"duplicate name {entry['name']!r} (case, spaces, dashes and underscores do not count)")
    problems += _swap_problems(named)
    problems += _link_problems(content.get("links", []), names)
    problems += _correspondence_problems(content.get("correspondence", {}), names, others)
    return list(dict.fromkeys(problems))


def _strings(value: object) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _keypoint_problems(entry: dict) -> list[str]:
    name = entry["name"]
    problems = [
        f"{name}: unknown field {key!r}{did_you_mean(key, _KEYPOINT_FIELDS)}" for key in entry.keys() - _KEYPOINT_FIELDS
    ]
    if "sigma" not in entry:
        problems.append(f"{name}: sigma is missing")
    elif not is_number(entry["sigma"]) or entry["sigma"] <= 0:
        problems.append(f"{name}: sigma must be a positive number, found {entry['sigma']!r}")
    if not is_number(entry.get("weight", 1.0)) or entry.get("weight", 1.0) < 0:
        problems.append(f"{name}: weight must be a number of at least 0, found {entry['weight']!r}")
    if entry.get("half") not in HALVES:
        problems.append(f"{name}: half must be one of {HALVES}, found {entry.get('half')!r}")
    if entry.get("side", "middle") not in SIDES:
        problems.append(f"{name}: side must be one of {SIDES}, found {entry['side']!r}")
    if not isinstance(entry.get("swap", ""), str):
        problems.append(f"{name}: swap must be a name, found {entry['swap']!r}")
    if not isinstance(entry.get("description", ""), str):
        problems.append(f"{name}: description must be text, found {entry['description']!r}")
    aliases = entry.get("aliases", [])
    if not isinstance(aliases, list) or len(_strings(aliases)) != len(aliases):
        problems.append(f"{name}: aliases must be a list of names, found {aliases!r}")
    color = entry.get("color", [0, 0, 0])
    if not isinstance(color, list) or len(color) != 3 or not all(type(c) is int and 0 <= c <= 255 for c in color):
        problems.append(f"{name}: color must be [red, green, blue] from 0 to 255, found {color!r}")
    return problems


def _swap_problems(named: list[dict]) -> list[str]:
    by_name = {entry["name"]: entry for entry in named}
    problems = []
    for entry in named:
        name, swap = entry["name"], entry.get("swap", "")
        if not isinstance(swap, str) or swap in ("", name):
            continue
        if swap not in by_name:
            problems.append(f"{name}: swap {swap!r} is not a keypoint{did_you_mean(swap, by_name)}")
        elif by_name[swap].get("swap", "") != name:
            problems.append(f"{name}: swaps with {swap}, but {swap} swaps with {by_name[swap].get('swap', '')!r}")
        elif {entry.get("side"), by_name[swap].get("side")} not in ({None}, {"left", "right"}):
            problems.append(f"{name}: it and {swap} must be left and right, or leave 'side' out")
    return problems


def _link_problems(links: object, names: set[str]) -> list[str]:
    if not isinstance(links, list):
        return [f"'links' must be a list of pairs of names, found {type(links).__name__}"]
    problems = []
    for link in links:
        if not isinstance(link, list) or len(link) != 2 or len(_strings(link)) != 2:
            problems.append(f"link {link!r} is not a pair of names")
            continue
        problems += [
            f"link {link}: unknown keypoint {end!r}{did_you_mean(end, names)}" for end in link if end not in names
        ]
        if link[0] == link[1]:
            problems.append(f"link {link} joins a keypoint with itself")
    return problems


def _correspondence_problems(tables: object, names: set[str], others: Callable[[str], Collection[str]]) -> list[str]:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        return ["'correspondence' must hold, by skeleton, an object of keypoint names"]
    problems = []
    for other, table in tables.items():
        theirs = others(other)
        for target, match in table.items():
            where = f"correspondence {other}/{target}"
            if theirs and target not in theirs:
                problems.append(f"{where}: {other} has no keypoint {target!r}{did_you_mean(target, theirs)}")
            source = match.get("source") if isinstance(match, dict) else None
            if not isinstance(source, str) or match.get("match") not in MATCHES:
                problems.append(f"{where}: expected {{'source': name, 'match': 'exact' or 'near'}}, found {match!r}")
            elif source not in names:
                problems.append(f"{where}: unknown keypoint {source!r}{did_you_mean(source, names)}")
    return problems
