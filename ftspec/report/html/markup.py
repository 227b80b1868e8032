"""HTML as text that knows whether it is escaped: `Html` is markup, every other text is written as what it says."""

from collections.abc import Iterable, Sequence
from html import escape

from ftspec.report.problems import visible

# Nothing is fetched and nothing runs, whatever a data set or a model wrote into the page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #667; --line: #d5d9de; --paper: #fff; --soft: #f4f6f8;
  --good: #1a7f37; --bad: #c62828; --mark: #2563c9; --pale: #9dbcec; --valid: #c2570c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --dim: #98a1ab; --line: #39414a; --paper: #14181c;
  --soft: #1d2329; --good: #4cc46b; --bad: #ff7b72; --mark: #79aef5; --pale: #35507a; --valid: #f0a15e; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .5rem; } h3 { font-size: 1rem; }
p { margin: .4rem 0; } .dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  max-width: 24rem; overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 500; } td.number, th.number { text-align: right; }
tr.best { background: var(--soft); }
code, pre { font: 13px/1.45 ui-monospace, monospace; } code { overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; }
summary { cursor: pointer; color: var(--mark); }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; } figcaption { font-size: 13px; }
svg text { fill: var(--dim); font: 10px system-ui, sans-serif; } .axis { stroke: var(--line); fill: none; }
.raw { stroke: var(--pale); fill: none; } .train { stroke: var(--mark); fill: none; stroke-width: 1.6; }
.valid { stroke: var(--valid); fill: none; stroke-width: 1.6; }
.dot { fill: var(--mark); } .vdot { fill: var(--valid); }
.whisker { stroke: var(--mark); stroke-width: 2; } .against { stroke: var(--dim); stroke-dasharray: 2 2; }
"""


class Html(str):
    """Markup: written into a page as it is."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return a value as markup: itself where it is markup already, else escaped, hidden characters made visible."""
    return value if isinstance(value, Html) else Html(escape(visible(str(value))))


def element(name: str, *children: object, **attributes: object) -> Html:
    """Return an element; an attribute `class_` is written `class`, and `_` as `-`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(visible(str(value)))}"'
        for key, value in attributes.items()
        if value not in (None, "")
    )
    return Html(f"<{name}{given}>{''.join(map(text, children))}</{name}>")


def joined(parts: Iterable[object], between: str = "") -> Html:
    """Return several parts as one."""
    return Html(between.join(map(text, parts)))


def table(
    head: Sequence[object], rows: Iterable[Sequence[object]], *, numbers: frozenset[int] = frozenset(), best: int = -1
) -> Html:
    """Return a table; columns in `numbers` are flush right, the row `best` is marked."""

    def line(tag: str, cells: Sequence[object]) -> list[Html]:
        return [element(tag, cell, class_="number" if i in numbers else "") for i, cell in enumerate(cells)]

    body = [element("tr", *line("td", row), class_="best" if i == best else "") for i, row in enumerate(rows)]
    return element(
        "div",
        element("table", element("thead", element("tr", *line("th", head))), element("tbody", *body)),
        class_="wide",
    )


def page(title: str, *sections: object) -> str:
    """Return a whole document."""
    head = joined(
        [
            Html('<meta charset="utf-8">'),
            Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", title),
            Html(f"<style>{_STYLE}</style>"),
        ],
        "\n",
    )
    body = element("body", element("main", joined(sections, "\n")))
    return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n{body}\n</html>\n'
