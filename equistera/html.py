"""Single-file HTML pages that open without a network: style, pictures and figures all stand inside the file.

Every function returns a piece of HTML; :func:`page` puts pieces together. Text is escaped unless it is :class:`Html`.

Example:
    >>> from equistera import html
    >>> html.paragraph("AP < 0.5")
    '<p>AP &lt; 0.5</p>'
"""

from __future__ import annotations

import base64
import html as stdlib_html
import io
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

#: A line drawing above this size (characters of SVG) is stored as a PNG instead.
SVG_LIMIT = 300_000

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6675; --line: #d8dde5; --paper: #ffffff; --band: #f4f6f9;
  --error: #b3261e; --warning: #9a5b00; --info: #2f5d9b; --accent: #0f6f6a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #9aa5b4; --line: #343c48; --paper: #14181e;
  --band: #1c222b; --error: #ff8a80; --warning: #f3b657; --info: #8ab4f8; --accent: #5fd0c8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 64px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 26px; margin: 0 0 16px; }
h2 { font-size: 19px; margin: 40px 0 10px; padding-bottom: 6px; border-bottom: 1px solid var(--line); }
p { max-width: 80ch; margin: 8px 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 10px 0; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px 5px 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; white-space: nowrap; }
td.number { text-align: right; white-space: nowrap; }
figure { margin: 10px 0; }
figure img, figure svg { display: block; max-width: 100%; height: auto; border-radius: 4px; }
figure svg, figure.plot img { background: #ffffff; }
figcaption { margin-top: 4px; color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 16px; align-items: start; }
.gallery.large { grid-template-columns: repeat(auto-fill, minmax(340px, 1fr)); }
.gallery figure { margin: 0; }
.gallery img { width: 100%; height: 260px; object-fit: contain; background: var(--band); }
.gallery.large img { height: auto; }
figcaption .badge { white-space: normal; }
.badge { font-weight: 700; white-space: nowrap; }
.error { color: var(--error); } .warning { color: var(--warning); } .info { color: var(--info); }
.good { color: var(--accent); }
.muted { color: var(--soft); }
""".strip()


#: Nothing from a network, no scripts.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def escape(text: object) -> Html:
    """Makes text safe to show; :class:`Html` passes through unchanged."""
    return text if isinstance(text, Html) else Html(stdlib_html.escape(str(text)))


def page(title: str, *blocks: str) -> Html:
    """A whole document.

    Args:
        title: Shown in the window's title bar and as the heading.
        *blocks: What :func:`section`, :func:`paragraph` and the others return.

    Returns:
        The file's content. Its content security policy forbids scripts and anything from a network.
    """
    head = escape(title)
    return Html(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{head}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n<h1>{head}</h1>\n"
        + "\n".join(escape(block) for block in blocks)
        + "\n</body>\n</html>\n"
    )


def is_page(path: Path) -> bool:
    """Whether a file is one that :func:`page` made."""
    try:
        with path.open("rb") as file:
            return f'content="{_POLICY}"'.encode() in file.read(1000)
    except OSError:
        return False


def section(heading: str, *blocks: str) -> Html:
    """A heading and what stands under it."""
    body = "\n".join(escape(block) for block in blocks)
    return Html(f"<section>\n<h2>{escape(heading)}</h2>\n{body}\n</section>")


def paragraph(text: object) -> Html:
    """A paragraph."""
    return Html(f"<p>{escape(text)}</p>")


def badge(text: object, kind: str) -> Html:
    """A short emphasised word.

    Args:
        text: The word.
        kind: ``error``, ``warning``, ``info``, ``good`` or ``muted``; sets the colour.
    """
    return Html(f'<span class="badge {escape(kind)}">{escape(text)}</span>')


def lines(items: Iterable[object]) -> Html:
    """Several short texts, one below the other, for instance in a cell of a table."""
    return Html("<br>".join(escape(item) for item in items))


def table(headers: Sequence[object], rows: Iterable[Sequence[object]]) -> Html:
    """A table; numbers stand to the right.

    Args:
        headers: One text per column.
        rows: Cells of each row, as many as there are headers. A float is shown with up to 4 significant digits.

    Returns:
        The table, in a box of its own that scrolls sideways on a narrow window.

    Raises:
        ValueError: A row has another number of cells than there are headers.
    """
    rows = [list(row) for row in rows]
    for row in rows:
        if len(row) != len(headers):
            raise ValueError(f"a row has {len(row)} cells under {len(headers)} headers: {row}")
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return Html(
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    )


def picture(rgb: np.ndarray, caption: object = "", max_side: int = 640, quality: int = 85) -> Html:
    """A photo, as a JPEG inside the page.

    Args:
        rgb: uint8 [H, W, 3].
        caption: Text below it.
        max_side: A larger picture is reduced so that its longer side has this many pixels.
        quality: JPEG quality, 1-95.

    Returns:
        A ``<figure>``.
    """
    from PIL import Image

    image = Image.fromarray(rgb)
    image.thumbnail((max_side, max_side))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    width, height = image.size
    source = f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
    return _figure(f'<img src="{source}" width="{width}" height="{height}" alt="{_alternative(caption)}">', caption)


def gallery(pictures: Iterable[str], large: bool = False) -> Html:
    """Pictures side by side, as many in a row as fit; large ones keep their shape, others get one height."""
    return Html(
        f'<div class="gallery{" large" if large else ""}">\n' + "\n".join(escape(one) for one in pictures) + "\n</div>"
    )


def figure(plot: Figure, caption: object = "") -> Html:
    """A matplotlib figure: as SVG, or as a PNG where the SVG would be large. The figure is left open.

    Args:
        plot: The figure.
        caption: Text below it.

    Returns:
        A ``<figure>``.
    """
    import matplotlib

    # text stays text (small, searchable); without a date and with a fixed salt the same figure gives the same bytes
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "equistera"}):
        drawing = io.StringIO()
        plot.savefig(drawing, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = drawing.getvalue()
    if len(svg) <= SVG_LIMIT:
        return _figure(_own_ids(svg[svg.index("<svg") :]), caption)
    data = io.BytesIO()
    plot.savefig(data, format="png", bbox_inches="tight", dpi=110)
    source = f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
    return _figure(f'<img src="{source}" alt="{_alternative(caption)}">', caption, kind="plot")


def _own_ids(svg: str) -> str:
    """Ids such as ``axes_1`` occur in every figure of matplotlib; in one page they must differ."""
    own = f"f{zlib.crc32(svg.encode()):08x}-"
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{own}", svg)


def _figure(content: str, caption: object, kind: str = "") -> Html:
    below = f"\n<figcaption>{escape(caption)}</figcaption>" if caption else ""
    opening = f'<figure class="{kind}">' if kind else "<figure>"
    return Html(f"{opening}{content}{below}</figure>")


def _alternative(caption: object) -> str:
    """The caption without its tags, for the ``alt`` of an image."""
    text = re.sub(r"<[^>]*>", " ", caption) if isinstance(caption, Html) else stdlib_html.escape(str(caption))
    return text.strip().replace('"', "&quot;")


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"<td>{escape(value)}</td>"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f'<td class="number">{text}</td>'
