"""How exact labels are: what the converters let pass, verification must not call a mistake."""

from __future__ import annotations

#: Pixels by which a point or box may stand outside its picture: rounding, and points at the edge of the last pixel.
EDGE = 1.0
#: An area below this share of its box is not a horse's: even a rope's is larger.
MIN_AREA_SHARE = 0.01
#: Pixels within which two labels agree.
SAME = 0.5
