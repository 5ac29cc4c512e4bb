"""Pages are whole, escaped and need nothing from outside."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from equistera import html

VOID = {"meta", "br", "img"}


class Balance(HTMLParser):
    """Notes tags that are not closed in the order in which they were opened."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def parse(text):
    balance = Balance()
    balance.feed(text)
    balance.close()
    assert not balance.open
    assert not balance.wrong
    return "".join(balance.text)


def test_page_is_whole_and_offline():
    rgb = np.zeros((4, 6, 3), np.uint8)
    text = html.page(
        "A & B",
        html.section("Counts", html.table(["name", "n"], [["nose", 3]]), html.gallery([html.picture(rgb, "one")])),
    )
    assert text.startswith("<!doctype html>")
    assert "<title>A &amp; B</title>" in text
    assert "nose" in parse(text)
    assert not re.search(r"(src|href)=\"(?!data:)", text), "something is loaded from outside the file"
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    "piece",
    [
        html.paragraph("<script>x</script>"),
        html.section("<script>x</script>", "<script>y</script>"),
        html.table(["<script>h</script>"], [["<script>x</script>"]]),
        html.picture(np.zeros((2, 2, 3), np.uint8), '"><script>x</script>'),
        html.gallery(["<script>x</script>"]),
        html.badge("<script>x</script>", "error"),
        html.lines(["<script>x</script>"]),
        html.page("<script>x</script>"),
    ],
)
def test_text_is_escaped(piece):
    assert "<script>" not in piece
    assert "&lt;script&gt;" in piece


def test_html_passes_through():
    assert html.paragraph(html.badge("error", "error")) == '<p><span class="badge error">error</span></p>'


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (3, '<td class="number">3</td>'),
        (0.123456, '<td class="number">0.1235</td>'),
        (np.float64(0.5), '<td class="number">0.5</td>'),
        (True, "<td>True</td>"),
        ("a<b", "<td>a&lt;b</td>"),
        (html.Html("<b>x</b>"), "<td><b>x</b></td>"),
    ],
)
def test_cells(cell, expected):
    assert f"<tr>{expected}</tr>" in html.table(["h"], [[cell]])


def test_table_refuses_a_row_of_another_length():
    with pytest.raises(ValueError, match="1 cells under 2 headers"):
        html.table(["a", "b"], [[1]])


def test_picture_is_reduced_and_keeps_its_colours():
    rgb = np.zeros((100, 400, 3), np.uint8)
    rgb[..., 0] = 200
    piece = html.picture(rgb, "red", max_side=80)
    data = base64.b64decode(re.search(r"base64,([^\"]+)", piece)[1])
    image = Image.open(io.BytesIO(data))
    assert image.size == (80, 20)
    assert np.abs(np.asarray(image)[10, 40].astype(int) - [200, 0, 0]).max() < 6
    assert 'alt="red"' in piece


def test_small_picture_is_not_enlarged():
    piece = html.picture(np.zeros((5, 7, 3), np.uint8), max_side=640)
    assert 'width="7" height="5"' in piece
    assert "<figcaption>" not in piece


def make_figure(points):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2))
    figure.add_subplot().plot(np.linspace(0, 1, points), np.random.default_rng(0).random(points))
    return figure


def test_figure_is_svg_and_two_figures_share_no_id():
    first, second = html.figure(make_figure(5), "a"), html.figure(make_figure(6), "b")
    assert "<svg" in first
    ids = [set(re.findall(r'\bid="([^"]+)"', piece)) for piece in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for piece, own in zip((first, second), ids, strict=True):
        used = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", piece))
        assert used, "the figure refers to none of its clip paths"
        assert used <= own
        parse(piece)


def test_large_figure_becomes_a_png(monkeypatch):
    monkeypatch.setattr(html, "SVG_LIMIT", 1000)
    piece = html.figure(make_figure(50), "noise")
    assert "<svg" not in piece
    assert base64.b64decode(re.search(r"base64,([^\"]+)", piece)[1]).startswith(b"\x89PNG")


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_any_text_gives_a_balanced_page(texts):
    text = html.page(texts[0], html.section(texts[-1], *texts), html.table(texts, [texts]))
    parse(text)
