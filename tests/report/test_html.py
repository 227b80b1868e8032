"""Pages hold nothing that runs or is fetched, and say hostile text as text."""

import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from ftspec.report.html.charts import interval_mark, loss_chart, shared_scale, smoothed
from ftspec.report.html.markup import Html, element, page, table, text

_VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Checks that elements nest, and gathers names, attributes and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def read(document: str) -> Reader:
    """Parse a page and check what every page must be."""
    reader = Reader()
    reader.feed(document)
    reader.close()
    assert not reader.open
    assert not reader.names & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    assert not {name for name, _ in reader.attributes} & {"src", "href", "style", "onclick", "onload", "srcset"}
    assert "url(" not in document
    assert "@import" not in document
    return reader


@given(st.text())
def test_any_text_is_said_as_text(said: str) -> None:
    reader = read(page("title", element("p", said, title=said), table([said], [[said]])))
    assert reader.names == {"html", "head", "meta", "title", "style", "body", "main", "p", "div", "table", "thead"} | {
        "tbody",
        "tr",
        "th",
        "td",
    }
    shown = "".join(reader.said)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", shown)


def test_markup_stays_and_text_is_escaped() -> None:
    assert text(Html("<b>")) == "<b>"
    assert element("p", "<b>", Html("<i>x</i>"), class_="a", data_x='"') == (
        '<p class="a" data-x="&quot;">&lt;b&gt;<i>x</i></p>'
    )


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=900))
def test_any_loss_is_drawn_inside_its_frame(losses: list[float]) -> None:
    points = list(enumerate(losses, 1))
    drawn = loss_chart("run", points, points[::10], shared_scale([points]))
    reader = read(page("loss", drawn))
    xy = [v for name, value in reader.attributes if name == "points" for v in re.findall(r"[^ ,]+", value or "")]
    assert all(-1 <= float(v) <= 301 for v in xy)
    assert len(xy) <= 2 * (400 + 400 + 90)


def test_smoothing_keeps_a_constant_and_follows_a_line() -> None:
    assert all(abs(loss - 2.0) < 1e-12 for _, loss in smoothed([(i, 2.0) for i in range(50)]))
    falling = smoothed([(i, 100.0 - i) for i in range(100)])
    assert falling[0][1] == 100.0
    assert 1.0 < falling[-1][1] < 20.0


def test_a_score_is_drawn_where_it_lies() -> None:
    drawn = interval_mark(0.5, 0.4, 0.6, 0.25)
    assert 'cx="90.0"' in drawn
    assert 'class="against" x1="47.0"' in drawn
    assert interval_mark(None, None, None, None) == ""
