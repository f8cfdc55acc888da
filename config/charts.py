"""The geometry of small charts, as numbers for SVG attributes: no style, no script, no library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10

SPARK_WIDTH, SPARK_HEIGHT, SPARK_EDGE = 60.0, 26.0, 3.0
WIDTH, HEIGHT = 960.0, 196.0
GAP = 1.0  # between the pieces of a column
NARROWEST_RATIO = 0.65  # of a column to its place
LINES = 4  # above the base

Values = Sequence[float | None]


@dataclass(frozen=True)
class Spark:
    """Two lines on one scale; empty where there is not enough to draw."""

    now: str
    before: str


@dataclass(frozen=True)
class Bar:
    series: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Columns:
    """Stacked columns with a line of what is compared; `ticks` and `lines` from the top."""

    bars: list[Bar]
    line: str
    ticks: list[int]
    lines: list[float]
    now_x: float | None


def spark(now: Values, before: Values) -> Spark:
    known = [value for value in (*now, *before) if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)

    def place(value: float) -> float:
        room = SPARK_HEIGHT - 2 * SPARK_EDGE
        share = (value - low) / (high - low) if high > low else 0.5
        return SPARK_HEIGHT - SPARK_EDGE - share * room

    def line(values: Values) -> str:
        step = SPARK_WIDTH / max(1, len(values) - 1)
        points = [(i * step, place(v)) for i, v in enumerate(values) if v is not None]
        return path(points) if len(points) > 1 else ""

    return Spark(line(now), line(before))


def columns(
    stacks: Sequence[dict[str, int]],
    compared: Sequence[int | None],
    *,
    now: float | None = None,
) -> Columns:
    """`stacks` from the base up; `now` is how far the time has come, from 0 to 1."""
    known = [value for value in compared if value is not None]
    top = nice(max([*(sum(stack.values()) for stack in stacks), *known, LINES]))
    place = WIDTH / max(1, len(stacks))
    width = place * NARROWEST_RATIO
    bars = [
        bar
        for number, stack in enumerate(stacks)
        for bar in _stack(stack, number * place + (place - width) / 2, width, top)
    ]
    points = [
        ((number + 0.5) * place, HEIGHT * (1 - value / top))
        for number, value in enumerate(compared)
        if value is not None
    ]
    return Columns(
        bars=bars,
        line=path(points) if any(known) else "",
        ticks=[top * (LINES - i) // LINES for i in range(LINES + 1)],
        lines=[HEIGHT * i / LINES for i in range(LINES + 1)],
        now_x=None if now is None else round(WIDTH * now, 1),
    )


def _stack(stack: dict[str, int], x: float, width: float, top: int) -> list[Bar]:
    base, bars = HEIGHT, []
    for series, value in stack.items():
        if value:
            height = max(1.0, value / top * HEIGHT - GAP)
            base -= height
            bars.append(Bar(series, round(x, 1), round(base, 1), round(width, 1), round(height, 1)))
            base -= GAP
    return bars


def nice(highest: float) -> int:
    """The next round number that four lines divide into whole ones."""
    unit = 10 ** max(0, int(log10(max(highest, 1))) - 1)
    for factor in (4, 8, 12, 16, 20, 24, 32, 40, 60, 80, 100, 120, 160, 200):
        if factor * unit >= highest:
            return factor * unit
    return ceil(highest / 4) * 4


def path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
