"""Small SVG plots: bars and lines, with nothing to install."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

OURS, OTHERS, FLOORS = "#2563eb", "#9ca3af", "#d1d5db"
COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#4b5563", "#be185d")
WIDTH, LEFT, ROW = 760, 220, 22


def bars(title: str, rows: Mapping[str, float], unit: str, *, less_is_better: bool = False) -> str:
    """Horizontal bars, the best first; logarithmic where less is better, since the worst would hide the best.

    Slotwise in blue, floors pale.
    """
    ordered = sorted(rows.items(), key=lambda row: row[1] if less_is_better else -row[1])
    body = [_text(10, 22, title, size=14, weight="bold")]
    for number, (name, value) in enumerate(ordered):
        y = 40 + number * ROW
        colour = FLOORS if name.startswith("floor") else OURS if name.startswith("Slotwise") else OTHERS
        length = (WIDTH - LEFT - 110) * _share(value, list(rows.values()), logarithmic=less_is_better)
        body.append(_text(LEFT - 8, y + 13, name, anchor="end"))
        body.append(f'<rect x="{LEFT}" y="{y + 2}" width="{length:.1f}" height="{ROW - 6}" fill="{colour}"/>')
        body.append(_text(LEFT + length + 6, y + 13, f"{number_of(value)} {unit}".strip()))
    return _svg(body, 50 + len(rows) * ROW)


def _share(value: float, all_values: Sequence[float], *, logarithmic: bool) -> float:
    """Of the longest bar."""
    most = max(all_values) or 1
    if not logarithmic:
        return value / most
    shortest = min(all_values) / 2
    return math.log(value / shortest) / math.log(most / shortest)


def lines(title: str, xs: Sequence[float], series: Mapping[str, Sequence[float]], across: str, unit: str) -> str:
    """Lines over a logarithmic x, from zero up."""
    top, bottom, left, right = 40, 300, 90, 480
    most = max((value for values in series.values() for value in values), default=1) * 1.1 or 1
    low, high = math.log10(min(xs)), math.log10(max(xs))
    body = [_text(10, 22, title, size=14, weight="bold")]

    def at(x: float, value: float) -> tuple[float, float]:
        share = (math.log10(x) - low) / ((high - low) or 1)
        return left + share * (right - left), bottom - value / most * (bottom - top)

    for step in range(5):
        value = most * step / 4
        _, y = at(xs[0], value)
        body.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e5e7eb"/>')
        body.append(
            _text(left - 6, y + 4, f"{number_of(value)} {unit if step == 4 else ''}".strip(), anchor="end")
        )
    for x in xs:
        body.append(_text(at(x, 0)[0], bottom + 18, f"{x:,.0f}", anchor="middle"))
    body.append(_text((left + right) / 2, bottom + 38, across, anchor="middle"))
    for number, (name, values) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [at(x, value) for x, value in zip(xs, values, strict=True)]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        body.append(_text(right + 16, top + 10 + number * 20, name, fill=colour))
    return _svg(body, bottom + 50)


def number_of(value: float) -> str:
    """Three figures that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    anchor: str = "start",
    weight: str = "normal",
    fill: str = "#111827",
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _svg(body: Sequence[str], height: float) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" font-family="sans-serif">'
    )
    return "\n".join([opening, '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>\n"])
