"""Where the boxes and lines of a directed graph are drawn: from left to right, with few crossings.

Knows names and sizes alone. The same graph is always drawn alike. Steps: break the circles, longest
path for the columns, stand-ins where a line passes a column, barycentres for the order within a
column, then rows as near to their neighbours as the order allows.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 184, 56  # of a box
MARGIN = 18
GAP = 30  # between two boxes, one below the other
NARROW_GAP = 20  # beside a line that passes
COLUMN_GAP = 44  # where no label stands between two columns
LABEL_ROOM = 26  # what a column gap has beside its widest label
BELOW = 22  # room for what hangs below a box
ABOVE = 26  # room for a line from a box to itself
BACK_PORT = 15  # lines that go back leave and arrive this much lower
SWEEPS = 12
STRAIGHT = 3.0  # how much more a passing line wants to be straight than a box beside its neighbours


@dataclass(frozen=True, slots=True)
class Link:
    """A line to be drawn. `label_width` is the room that its label takes, 0 without one."""

    origin: str
    target: str
    label_width: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    column: int
    x: int
    y: int

    @property
    def middle(self) -> int:
        return self.y + HEIGHT // 2


@dataclass(frozen=True, slots=True)
class Line:
    """The drawn line as the `d` of an SVG path. `label` is where the middle of its label stands."""

    d: str
    label: tuple[int, int]
    is_back: bool = False
    is_loop: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    width: int
    height: int
    boxes: dict[str, Box]
    lines: tuple[Line, ...]  # in the order of the links


@dataclass(frozen=True, slots=True)
class _Item:
    """A box, or what stands for a line where it passes a column. Lines to the same box share it,
    so that they join on their way."""

    name: str
    column: int
    is_box: bool = True
    is_back: bool = False


Chain = list[_Item]
Rows = dict[_Item, float]


def lay_out(
    names: Sequence[str],
    links: Sequence[Link],
    *,
    hanging: Collection[str] = (),
) -> Layout:
    """Draw the boxes `names`, the start first, and the `links` between them. Something hangs below
    the boxes in `hanging`. At most one link leads from one box to another."""
    backward = _closing_circles(names, links)
    columns = _columns(names, links, backward)
    chains = [_chain(link, columns, number in backward) for number, link in enumerate(links)]
    order = _ordered(names, columns, chains)
    loops = {link.origin for link in links if link.origin == link.target}
    rows = _rows(order, _neighbours(chains), _Extents(loops, frozenset(hanging)))
    lefts = _lefts(len(order), links, columns, backward)
    boxes = {
        name: Box(column, lefts[column], round(rows[_Item(name, column)]) - HEIGHT // 2)
        for name, column in columns.items()
    }
    lines = _lines(links, chains, boxes, rows, lefts, backward)
    bottom = max((box.y + HEIGHT for box in boxes.values()), default=0)
    lowest = max([bottom, *map(round, rows.values())])
    width = lefts[-1] + WIDTH + MARGIN if lefts else 2 * MARGIN
    return Layout(width, lowest + BELOW + MARGIN, boxes, lines)


# --- Columns -----------------------------------------------------------------------------------


def _closing_circles(names: Sequence[str], links: Sequence[Link]) -> set[int]:
    """The links that lead back to a box from which their own origin was reached."""
    leaving: dict[str, list[int]] = defaultdict(list)
    for number, link in enumerate(links):
        leaving[link.origin].append(number)
    closing: set[int] = set()
    seen: set[str] = set()
    for root in names:
        if root in seen:
            continue
        seen.add(root)
        on_way, ways = {root}, [(root, iter(leaving[root]))]
        while ways:
            name, numbers = ways[-1]
            following = next(numbers, None)
            if following is None:
                ways.pop()
                on_way.discard(name)
                continue
            target = links[following].target
            if target in on_way:
                closing.add(following)
            elif target not in seen:
                seen.add(target)
                on_way.add(target)
                ways.append((target, iter(leaving[target])))
    return closing


def _columns(
    names: Sequence[str], links: Sequence[Link], backward: Collection[int]
) -> dict[str, int]:
    """As far to the right as the longest way from the left; what nothing leads to stands just
    before the first box that it leads to."""
    forward = [link for number, link in enumerate(links) if number not in backward]
    arriving = dict.fromkeys(names, 0)
    leaving: dict[str, list[str]] = defaultdict(list)
    for link in forward:
        arriving[link.target] += 1
        leaving[link.origin].append(link.target)
    columns = dict.fromkeys(names, 0)
    left = dict(arriving)
    ready = [name for name in names if not left[name]]
    for name in ready:  # grows while it is read
        for target in leaving[name]:
            columns[target] = max(columns[target], columns[name] + 1)
            left[target] -= 1
            if not left[target]:
                ready.append(target)
    for name in names[1:]:
        if not arriving[name] and leaving[name]:
            columns[name] = min(columns[target] for target in leaving[name]) - 1
    return columns


def _chain(link: Link, columns: Mapping[str, int], is_back: bool) -> Chain:
    """The link's way, one item in each column from its origin to its target."""
    first, last = columns[link.origin], columns[link.target]
    passed = range(first - 1, last, -1) if is_back else range(first + 1, last)
    between = [_Item(link.target, column, is_box=False, is_back=is_back) for column in passed]
    return [_Item(link.origin, first), *between, _Item(link.target, last)]


# --- Order within a column -----------------------------------------------------------------------


def _ordered(
    names: Sequence[str], columns: Mapping[str, int], chains: Sequence[Chain]
) -> list[list[_Item]]:
    """The items of every column from top to bottom, with few crossings."""
    order: list[list[_Item]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
    items = [_Item(name, columns[name]) for name in names]
    for item in dict.fromkeys([*items, *(one for chain in chains for one in chain)]):
        order[item.column].append(item)
    neighbours = _neighbours(chains)
    best, fewest = order, _crossings(order, neighbours)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        order = _swept(order, neighbours, to_right=sweep % 2 == 0)
        count = _crossings(order, neighbours)
        if count < fewest:
            best, fewest = order, count
    return best


def _neighbours(chains: Sequence[Chain]) -> dict[_Item, tuple[list[_Item], list[_Item]]]:
    """What each item is joined to, in the column to its left and in the one to its right."""
    found: dict[_Item, tuple[dict[_Item, None], dict[_Item, None]]] = defaultdict(lambda: ({}, {}))
    for chain in chains:
        for one, other in pairwise(chain):
            if one.column == other.column:
                continue  # from a box to itself
            left, right = (one, other) if one.column < other.column else (other, one)
            found[left][1][right] = None
            found[right][0][left] = None
    return {item: (list(before), list(after)) for item, (before, after) in found.items()}


Neighbours = Mapping[_Item, tuple[list[_Item], list[_Item]]]
NOBODY: tuple[list[_Item], list[_Item]] = ([], [])


def _swept(
    order: Sequence[list[_Item]], neighbours: Neighbours, *, to_right: bool
) -> list[list[_Item]]:
    """Every column sorted by the middle of its neighbours in the column just sorted."""
    side = 0 if to_right else 1
    swept = list(order)
    numbers = range(1, len(order)) if to_right else range(len(order) - 2, -1, -1)
    for number in numbers:
        beside = swept[number - 1 if to_right else number + 1]
        places = {item: place for place, item in enumerate(beside)}
        swept[number] = _by_barycentre(swept[number], neighbours, side, places)
    return swept


def _by_barycentre(
    column: Sequence[_Item], neighbours: Neighbours, side: int, places: Mapping[_Item, int]
) -> list[_Item]:
    """Items with no neighbour on that side keep their places; the others are sorted around them."""
    middles = {
        item: sum(places[one] for one in joined) / len(joined)
        for item in column
        if (joined := neighbours.get(item, NOBODY)[side])
    }
    movers = iter(sorted(middles, key=lambda item: middles[item]))
    return [next(movers) if item in middles else item for item in column]


def _crossings(order: Sequence[list[_Item]], neighbours: Neighbours) -> int:
    """How many pairs of lines cross between neighbouring columns."""
    count = 0
    for column, following in pairwise(order):
        places = {item: place for place, item in enumerate(following)}
        passed: list[int] = []
        for item in column:
            ends = sorted(places[one] for one in neighbours.get(item, NOBODY)[1])
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return count


# --- Rows --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Extents:
    """How much room an item needs above and below its middle."""

    loops: Collection[str]
    hanging: Collection[str]

    def above(self, item: _Item) -> int:
        return HEIGHT // 2 + (ABOVE if item.name in self.loops else 0) if item.is_box else 0

    def below(self, item: _Item) -> int:
        return HEIGHT // 2 + (BELOW if item.name in self.hanging else 0) if item.is_box else 0

    def apart(self, upper: _Item, lower: _Item) -> int:
        gap = GAP if upper.is_box and lower.is_box else NARROW_GAP
        return self.below(upper) + gap + self.above(lower)


def _rows(order: Sequence[list[_Item]], neighbours: Neighbours, extents: _Extents) -> Rows:
    """The middle of every item: near to what it is joined to, in order, and apart."""
    rows: Rows = {}
    for column in order:
        wanted = [0.0] * len(column)
        rows |= zip(column, _apart(column, wanted, extents), strict=True)
    for sweep in range(SWEEPS):
        sides = (0,) if sweep % 2 == 0 else (1,)
        _draw_near(order, neighbours, extents, rows, sides)
    _draw_near(order, neighbours, extents, rows, (0, 1))
    top = min((rows[item] - extents.above(item) for column in order for item in column), default=0)
    return {item: row - top + MARGIN for item, row in rows.items()}


def _draw_near(
    order: Sequence[list[_Item]],
    neighbours: Neighbours,
    extents: _Extents,
    rows: Rows,
    sides: tuple[int, ...],
) -> None:
    for column in order if sides != (1,) else reversed(order):
        wanted = [_wanted(item, neighbours, rows, sides) for item in column]
        rows |= zip(column, _apart(column, wanted, extents), strict=True)


def _wanted(item: _Item, neighbours: Neighbours, rows: Rows, sides: Iterable[int]) -> float:
    joined = [one for side in sides for one in neighbours.get(item, NOBODY)[side]]
    return sum(rows[one] for one in joined) / len(joined) if joined else rows[item]


def _apart(column: Sequence[_Item], wanted: Sequence[float], extents: _Extents) -> list[float]:
    """The rows nearest to the wanted ones that keep the order and the distances: neighbours that
    want the same place share the way (isotonic regression)."""
    offsets, offset = [], 0
    for place, item in enumerate(column):
        offset += extents.apart(column[place - 1], item) if place else 0
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # row, weight, how many items
    for item, row, below in zip(column, wanted, offsets, strict=True):
        block = (row - below, 1.0 if item.is_box else STRAIGHT, 1)
        while blocks and blocks[-1][0] >= block[0]:
            block = _joined(blocks.pop(), block)
        blocks.append(block)
    levels = [row for row, _weight, count in blocks for _ in range(count)]
    return [level + below for level, below in zip(levels, offsets, strict=True)]


def _joined(
    upper: tuple[float, float, int], lower: tuple[float, float, int]
) -> tuple[float, float, int]:
    weight = upper[1] + lower[1]
    return (upper[0] * upper[1] + lower[0] * lower[1]) / weight, weight, upper[2] + lower[2]


# --- Lines -------------------------------------------------------------------------------------


def _lefts(
    count: int, links: Sequence[Link], columns: Mapping[str, int], backward: Collection[int]
) -> list[int]:
    """The left edge of every column; between two there is room for the widest label there."""
    widest: dict[int, int] = defaultdict(int)
    for number, link in enumerate(links):
        gap = columns[link.origin] - (1 if number in backward else 0)
        widest[gap] = max(widest[gap], link.label_width)
    lefts = [MARGIN]
    for gap in range(count - 1):
        room = widest[gap] + LABEL_ROOM if widest[gap] else COLUMN_GAP
        lefts.append(lefts[-1] + WIDTH + max(room, COLUMN_GAP))
    return lefts[:count]


def _lines(  # noqa: PLR0913, PLR0917  # what was found so far
    links: Sequence[Link],
    chains: Sequence[Chain],
    boxes: Mapping[str, Box],
    rows: Rows,
    lefts: Sequence[int],
    backward: Collection[int],
) -> tuple[Line, ...]:
    lines = []
    labels: list[tuple[int, int, int]] = []
    for number, (link, chain) in enumerate(zip(links, chains, strict=True)):
        if link.origin == link.target:
            lines.append(_loop(boxes[link.origin]))
            continue
        is_back = number in backward
        points = _points(chain, rows, lefts, is_back)
        label = _label_place(points, link.label_width, labels)
        lines.append(Line(_curve(points), label, is_back=is_back))
    return tuple(lines)


def _points(chain: Chain, rows: Rows, lefts: Sequence[int], is_back: bool) -> list[tuple[int, int]]:
    """Where the line leaves the first box, enters and leaves every column, and arrives."""
    lower = BACK_PORT if is_back else 0
    points = []
    for item in chain:
        row = round(rows[item]) + (lower if item.is_box else 0)
        near, far = lefts[item.column], lefts[item.column] + WIDTH
        points += [(far, row), (near, row)] if is_back else [(near, row), (far, row)]
    return points[1:-1]


def _curve(points: Sequence[tuple[int, int]]) -> str:
    """Curves between the columns, level where a column is passed."""
    (x, y), *others = points
    parts = [f"M{x} {y}"]
    for place, (to_x, to_y) in enumerate(others):
        if place % 2 == 0:
            middle = (x + to_x) // 2
            parts.append(f"C{middle} {y} {middle} {to_y} {to_x} {to_y}")
        else:
            parts.append(f"H{to_x}")
        x, y = to_x, to_y
    return "".join(parts)


def _loop(box: Box) -> Line:
    """From the top of a box back into it."""
    left, right, top = box.x + WIDTH - 54, box.x + WIDTH - 18, box.y
    d = f"M{left} {top}C{left} {top - ABOVE} {right} {top - ABOVE} {right} {top}"
    return Line(d, ((left + right) // 2, top - ABOVE + 7), is_back=True, is_loop=True)


def _label_place(
    points: Sequence[tuple[int, int]], width: int, taken: list[tuple[int, int, int]]
) -> tuple[int, int]:
    """On the first curve, in the middle or as near to it as there is room beside other labels."""
    (x, y), (to_x, to_y) = points[0], points[1]
    places = [
        (round(x + (to_x - x) * _along(part)), round(y + (to_y - y) * _across(part)))
        for part in (0.5, 0.6, 0.4, 0.7, 0.3, 0.78, 0.22)
    ]
    place = next((one for one in places if not _collides(one, width, taken)), places[0])
    if width:
        taken.append((*place, width))
    return place


def _along(part: float) -> float:
    """The x of the curve at `part` of its way: its handles stand at the middle."""
    rest = 1 - part
    return 1.5 * rest * rest * part + 1.5 * rest * part * part + part**3


def _across(part: float) -> float:
    return 3 * (1 - part) * part * part + part**3


def _collides(place: tuple[int, int], width: int, taken: Sequence[tuple[int, int, int]]) -> bool:
    x, y = place
    return any(
        abs(y - other_y) < 15 and abs(x - other_x) < (width + other) / 2 + 4  # noqa: PLR2004  # a line of text
        for other_x, other_y, other in taken
    )
