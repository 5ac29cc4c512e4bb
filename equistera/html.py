"""Single-file HTML pages that open without a network: style, pictures and figures all stand inside the file.

A page is a template of ``equistera/templates/``, filled with values. Jinja2 escapes every text but what the functions
here made.
"""

from __future__ import annotations

import base64
import io
import re
import zlib
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

#: A line drawing above this size (characters of SVG) is stored as a PNG instead.
SVG_LIMIT = 300_000

#: Nothing from a network, no scripts.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render(template: str, **values: object) -> str:
    """A whole document.

    Args:
        template: Name of a file in ``equistera/templates/`` that extends ``base.html``.
        **values: What the template shows; ``title`` is one of them.

    Returns:
        The file's content. Its content security policy forbids scripts and anything from a network.
    """
    return environment().get_template(template).render(values)


@cache
def environment() -> Environment:
    """Jinja2 as the pages use it: every text escaped, a value that is missing an error."""
    made = Environment(
        loader=PackageLoader("equistera"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals |= {"badge": badge, "policy": _POLICY}
    return made


def badge(text: object, kind: str) -> Markup:
    """A short emphasised word.

    Args:
        text: The word.
        kind: ``error``, ``warning``, ``info``, ``good`` or ``muted``; sets the colour.
    """
    return Markup('<span class="badge {}">{}</span>').format(kind, text)


def photo(rgb: np.ndarray, alt: str = "", max_side: int = 640, quality: int = 85) -> Markup:
    """A photo, as a JPEG inside the page.

    Args:
        rgb: uint8 [H, W, 3].
        alt: What it shows, for those who do not see it.
        max_side: A larger picture is reduced so that its longer side has this many pixels.
        quality: JPEG quality, 1-95.

    Returns:
        An ``<img>``.
    """
    from PIL import Image

    image = Image.fromarray(rgb)
    image.thumbnail((max_side, max_side))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    tag = Markup('<img src="data:image/jpeg;base64,{}" width="{}" height="{}" alt="{}">')
    return tag.format(base64.b64encode(data.getvalue()).decode(), *image.size, alt)


def plot(figure: Figure) -> Markup:
    """A matplotlib figure: as ``<svg>``, or as a PNG where that would be large. The figure is left open."""
    import matplotlib

    # text stays text (small, searchable); without a date and with a fixed salt the same figure gives the same bytes
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "equistera"}):
        drawing = io.StringIO()
        figure.savefig(drawing, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = drawing.getvalue()
    if len(svg) <= SVG_LIMIT:
        # ids such as axes_1 occur in every figure; in one page they must differ
        own = rf"\g<1>f{zlib.crc32(svg.encode()):08x}-"
        return Markup(re.sub(r'(\bid="|url\(#|href="#)', own, svg[svg.index("<svg") :]))
    data = io.BytesIO()
    figure.savefig(data, format="png", bbox_inches="tight", dpi=110)
    return Markup('<img class="plot" src="data:image/png;base64,{}" alt="">').format(
        base64.b64encode(data.getvalue()).decode()
    )
