"""Values of a JSON file exchanged in its text: whatever is not exchanged stays as it was written, to the byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")

#: Where a value stands in its file: keys of objects and places in lists, from the outside.
Path = Sequence[str | int]


class JsonText:
    """The text of a JSON file whose values are exchanged.

    Args:
        text: Valid JSON.
    """

    def __init__(self, text: str):
        self.text = text
        self._parts: dict[int, dict[str | int, tuple[int, int]]] = {}
        self._edits: dict[tuple[int, int], str] = {}

    def replace(self, path: Path, value: object) -> None:
        """Another value in the place of one that is there."""
        self._edits[self._span(path)] = json.dumps(value, allow_nan=False)

    def change_list(self, path: Path, gone: Iterable[int] = (), new: Sequence[object] = ()) -> None:
        """Takes entries out of a list and puts others behind its last one, spaced as those that are there."""
        begin, end = self._span(path)
        parts = self._inside(begin)
        spans, gone = [parts[i] for i in range(len(parts))], set(gone)
        first = spans[0][0] if spans else begin + 1
        # what stands between two entries, or else before the only one
        between = (
            self.text[spans[0][1] : spans[1][0]] if len(spans) > 1 else "," + (self.text[begin + 1 : first] or " ")
        )
        added = between.join(json.dumps(value, allow_nan=False) for value in new)
        kept = [span for i, span in enumerate(spans) if i not in gone]
        if not kept:
            inside = (first, spans[-1][1]) if spans else (end - 1, end - 1)
            self._edits[inside] = added
            return
        last = kept[-1]
        for i, (start, _) in enumerate(spans):
            if i in gone and start < last[0]:
                self._edits[start, spans[i + 1][0]] = ""
        self._edits[last[1], spans[-1][1]] = between + added if new else ""

    def __str__(self) -> str:
        """The text with all that was changed."""
        pieces, at = [], 0
        for (begin, end), text in sorted(self._edits.items()):
            pieces += [self.text[at:begin], text]
            at = end
        return "".join([*pieces, self.text[at:]])

    def _span(self, path: Path) -> tuple[int, int]:
        begin, end = self._after_space(0), len(self.text)
        for key in path:
            begin, end = self._inside(begin)[key]
        return begin, end

    def _inside(self, begin: int) -> Mapping[str | int, tuple[int, int]]:
        """Begin and end of each value of the object or list that begins there; of a key that stands twice, the last."""
        if begin not in self._parts:
            self._parts[begin] = self._read(begin)
        return self._parts[begin]

    def _read(self, begin: int) -> dict[str | int, tuple[int, int]]:
        is_object, found, at = self.text[begin] == "{", {}, self._after_space(begin + 1)
        while self.text[at] not in "]}":
            key: str | int = len(found)
            if is_object:
                key, at = _DECODER.raw_decode(self.text, at)
                at = self._after_space(self._after_space(at) + 1)
            _, end = _DECODER.raw_decode(self.text, at)
            found[key] = at, end
            at = self._after_space(end)
            if self.text[at] == ",":
                at = self._after_space(at + 1)
        return found

    def _after_space(self, at: int) -> int:
        return _SPACE.match(self.text, at).end()
