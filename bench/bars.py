"""Bar charts as SVG, small enough to read in a diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

OURS, FLOOR, PEER = "#1f6feb", "#afb8c1", "#bf8700"
_WIDTH, _LEFT, _RIGHT = 760, 230, 90
_BAR, _GAP, _TOP = 16, 14, 44
_FONT = "font-family='Helvetica, Arial, sans-serif'"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: whose it is, how long, and its colour."""

    who: str
    value: float
    colour: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """Bars that stand together."""

    name: str
    bars: Sequence[Bar]


def chart(title: str, unit: str, clusters: Sequence[Cluster]) -> str:
    """Return a chart."""
    return "\n".join(_chart(title, unit, clusters)) + "\n"


def _chart(title: str, unit: str, clusters: Sequence[Cluster]) -> Iterator[str]:
    most = max((bar.value for cluster in clusters for bar in cluster.bars), default=1.0)
    height = _TOP + sum(_BAR * len(cluster.bars) + _GAP for cluster in clusters)
    yield (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height}' role='img'"
        f" aria-label='{escape(title)}'>"
    )
    yield f"<rect width='{_WIDTH}' height='{height}' fill='#ffffff'/>"
    yield _text(12, 24, f"{title}, {unit}", size=15, weight="bold")
    y = _TOP
    for cluster in clusters:
        middle = y + _BAR * len(cluster.bars) / 2 + 4
        yield _text(12, middle, cluster.name, size=12, weight="bold")
        for bar in cluster.bars:
            width = (_WIDTH - _LEFT - _RIGHT - 150) * bar.value / most
            yield _text(_LEFT + 140, y + 12, bar.who, size=11, anchor="end")
            yield (
                f"<rect x='{_LEFT + 148}' y='{y + 2}' width='{width:.1f}' height='{_BAR - 4}'"
                f" fill='{bar.colour}'/>"
            )
            yield _text(_LEFT + 154 + width, y + 12, _number(bar.value), size=11)
            y += _BAR
        y += _GAP
    yield "</svg>"


def _text(
    x: float, y: float, text: str, *, size: int, weight: str = "normal", anchor: str = "start"
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' {_FONT} font-size='{size}' font-weight='{weight}'"
        f" text-anchor='{anchor}' fill='#1f2328'>{escape(text)}</text>"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
