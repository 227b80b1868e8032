"""Small drawings as inline SVG: a score with its interval, a run's loss."""

import math
from collections.abc import Iterable, Sequence

from ftspec.report.html.markup import Html, element

Points = Sequence[tuple[int, float]]

# Colours for readers that apply no style sheet to drawings (mail, PDF); the page's own override them.
_INK: dict[str, dict[str, object]] = {
    "axis": {"stroke": "#d5d9de"},
    "raw": {"fill": "none", "stroke": "#9dbcec"},
    "train": {"fill": "none", "stroke": "#2563c9", "stroke_width": 1.6},
    "valid": {"fill": "none", "stroke": "#c2570c", "stroke_width": 1.6},
    "dot": {"fill": "#2563c9"},
    "vdot": {"fill": "#c2570c"},
    "whisker": {"stroke": "#2563c9", "stroke_width": 2},
    "against": {"stroke": "#666677", "stroke_dasharray": "2 2"},
}
_MOST_POINTS = 400
_LEAST_LOSS, _MOST_LOSS = 1e-4, 1e300


def interval_mark(value: float | None, low: float | None, high: float | None, against: float | None) -> Html:
    """Draw a score of 0..1 with its interval; `against` is the baseline's score, a dashed line."""
    if value is None or low is None or high is None:
        return Html("")
    width, height = 180, 16

    def x(share: float) -> float:
        return 4 + share * (width - 8)

    parts = [_line("axis", x(0), 8, x(1), 8)]
    if against is not None:
        parts.append(_line("against", x(against), 1, x(against), 15))
    parts += [_line("whisker", x(low), 8, x(high), 8), _circle("dot", x(value), 8, 3.5)]
    label = f"{value:.2f}, 95 % interval {low:.2f} to {high:.2f}"
    return _svg(width, height, label, parts)


def shared_scale(curves: Iterable[Points]) -> tuple[float, float]:
    """Return the decades that hold every loss, so that the charts of a sweep can be compared by eye."""
    values = [min(max(loss, _LEAST_LOSS), _MOST_LOSS) for points in curves for _, loss in points if math.isfinite(loss)]
    if not values:
        return 0.1, 1.0
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def loss_chart(label: str, train: Points, valid: Points, scale: tuple[float, float]) -> Html:
    """Draw a run's loss by step on a logarithmic scale: each step pale, smoothed strong, validation with dots."""
    width, height, left, bottom = 300, 170, 40, 18
    steps = max((step for step, _ in (*train, *valid)), default=1)
    low, high = (math.log10(bound) for bound in scale)

    def x(step: int) -> float:
        return left + (step - 1) / max(1, steps - 1) * (width - left - 8)

    def y(loss: float) -> float:
        share = (math.log10(min(max(loss, _LEAST_LOSS), scale[1])) - low) / (high - low)
        return 6 + (1 - share) * (height - bottom - 6)

    parts: list[Html] = []
    for decade in range(round(low), round(high) + 1):
        at = y(10.0**decade)
        parts += [_line("axis", left, at, width - 8, at), _text(left - 4, at + 3, f"{10.0**decade:g}", "end")]
    parts += [_text(left, height - 4, "step 1", "start"), _text(width - 8, height - 4, f"{steps:,}", "end")]
    finite = [(step, loss) for step, loss in train if math.isfinite(loss)]
    parts.append(_path("raw", [(x(s), y(loss)) for s, loss in _thinned(finite)]))
    parts.append(_path("train", [(x(s), y(loss)) for s, loss in _thinned(smoothed(finite))]))
    marks = [(x(s), y(loss)) for s, loss in valid if math.isfinite(loss)]
    parts += [_path("valid", marks), *(_circle("vdot", *mark, 2.5) for mark in marks)]
    return _svg(width, height, f"loss of {label} by step", parts)


def smoothed(points: Points) -> list[tuple[int, float]]:
    """Return a running mean of about a twelfth of the steps (exponential weights, corrected for the start)."""
    decay = 1 - 1 / max(1.0, len(points) / 12)
    mean, weight, found = 0.0, 0.0, []
    for step, loss in points:
        mean, weight = decay * mean + (1 - decay) * loss, decay * weight + (1 - decay)
        found.append((step, mean / weight))
    return found


def _thinned(points: Points) -> Points:
    if len(points) <= _MOST_POINTS:
        return points
    last = len(points) - 1
    return [points[i * last // (_MOST_POINTS - 1)] for i in range(_MOST_POINTS)]


def _svg(width: int, height: int, label: str, parts: Iterable[Html]) -> Html:
    return element(
        "svg", *parts, width=width, height=height, viewBox=f"0 0 {width} {height}", role="img", aria_label=label
    )


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Html:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    return element("line", class_=kind, **ends, **_INK[kind])


def _circle(kind: str, x: float, y: float, radius: float) -> Html:
    return element("circle", class_=kind, cx=f"{x:.1f}", cy=f"{y:.1f}", r=radius, **_INK[kind])


def _text(x: float, y: float, said: str, anchor: str) -> Html:
    return element("text", said, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, font_size=10, fill="#666677")


def _path(kind: str, points: Sequence[tuple[float, float]]) -> Html:
    if len(points) < 2:
        return Html("")
    return element("polyline", class_=kind, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), **_INK[kind])
