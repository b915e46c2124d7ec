"""A lineage as a picture: SVG from a graph. Pure; every label is escaped; colours are the page's, by class.

Two layouts, of which a page shows the one that has room. `wide`: layers, after Sugiyama (longest path, then
barycentres), the thing on top and what it was made from below. `narrow`: a line for each thing with lanes beside it, as
`git log --graph` draws; its text has the size of the page at 360 pixels and it takes any graph. Things in a circle are
drawn once, and the edge that closes it is dashed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from intermodel.records.lineage import Edge, Graph, How, Node

MOST = 60
"""Things that are drawn, the nearest ones."""
MOST_IN_A_ROW = 5
"""Boxes of one layer, beyond which only the narrow layout is legible."""

WORDS = {
    How.COPY: "copy of",
    How.FINE_TUNE: "fine-tuned from",
    How.ADAPTER: "adapter for",
    How.MERGE: "merged from",
    How.QUANTISE: "quantised from",
    How.CONVERT: "converted from",
    How.PRUNE: "pruned from",
    How.ADAPTED: "adapted from",
    How.DISTIL: "distilled from",
    How.OUTPUTS: "outputs of",
    How.TRAINED_ON: "trained on",
    How.PRE_TRAINED_ON: "pre-trained on",
    How.EVALUATED_ON: "evaluated on",
    How.USES: "uses",
    How.BUNDLES: "ships with",
}
"""What stands beside an edge, read from the child to its parent."""

_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_BOX, _HIGH, _GAP, _LAYER = 200, 66, 14, 126
_LANE, _ROW, _NARROW = 18, 84, 328


@dataclass(frozen=True, slots=True)
class Drawn:
    """The part of a graph that is drawn: its things by layer, the edges between them, those that close circles."""

    layers: tuple[tuple[str, ...], ...]
    edges: tuple[Edge, ...]
    closing: tuple[Edge, ...]
    left_out: int = 0


def drawn(graph: Graph, name: str) -> Drawn:
    """Layers by the longest way up from `name`, at most `MOST` things."""
    near = [name, *(way[-1].parent for way in graph.ancestors(name))]
    kept = set(near[:MOST])
    found = _once(edge for edge in graph.edges if edge.child in kept and edge.parent in kept)
    closing = _closing(found, name)
    open_edges = tuple(edge for edge in found if edge not in closing)
    depth = _depths(near[:MOST], open_edges)
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for one in near[:MOST]:
        layers[depth[one]].append(one)
    return Drawn(tuple(map(tuple, layers)), open_edges, tuple(closing), len(near) - len(kept))


def _once(edges: Iterable[Edge]) -> list[Edge]:
    """One edge for each pair; what else leads between the two is in its label."""
    found: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        found.setdefault((edge.child, edge.parent), edge)
    return list(found.values())


def _closing(edges: Sequence[Edge], name: str) -> list[Edge]:
    """Edges that lead back to where a walk from `name` came from."""
    by_child: dict[str, list[Edge]] = {}
    for one in edges:
        by_child.setdefault(one.child, []).append(one)
    closing: list[Edge] = []
    done: set[str] = set()
    on_way = {name}
    stack = [(name, iter(by_child.get(name, ())))]
    while stack:
        here, rest = stack[-1]
        edge: Edge | None = next(rest, None)
        if edge is None:
            stack.pop()
            on_way.discard(here)
            done.add(here)
        elif edge.parent in on_way:
            closing.append(edge)
        elif edge.parent not in done:
            on_way.add(edge.parent)
            stack.append((edge.parent, iter(by_child.get(edge.parent, ()))))
    return closing


def _depths(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """The longest way from the first: each round settles one layer more; there are no circles left."""
    depth = dict.fromkeys(names, 0)
    for _ in names:
        changed = False
        for edge in edges:
            if depth[edge.parent] < depth[edge.child] + 1:
                depth[edge.parent] = depth[edge.child] + 1
                changed = True
        if not changed:
            break
    return depth


def picture(graph: Graph, name: str) -> tuple[str, str]:
    """The wide picture ("" where it would not be legible) and the narrow one; both "" where nothing is known."""
    part = drawn(graph, name)
    if len(part.layers) < 2 and not part.closing:
        return "", ""
    legible = max(map(len, part.layers)) <= MOST_IN_A_ROW
    return (_wide(graph, name, part) if legible else ""), _narrow(graph, name, part)


def _label(graph: Graph, edge: Edge) -> str:
    """Every way in which the one was made from the other, in words."""
    ways = [one for one in graph.edges if (one.child, one.parent) == (edge.child, edge.parent)]
    return ", ".join(dict.fromkeys(WORDS[one.how] for one in ways))


# Layers


@dataclass(slots=True)
class _Place:
    x: float
    y: float
    width: float
    real: bool = True
    ups: list[tuple[int, int]] = field(default_factory=list)


def _wide(graph: Graph, name: str, part: Drawn) -> str:
    """Boxes in layers. An edge across layers runs through gaps of its own, so that it crosses no box."""
    rows: list[list[str]] = [list(layer) for layer in part.layers]
    links: list[tuple[str, str]] = []
    routes: dict[Edge, list[str]] = {}
    level = {one: i for i, layer in enumerate(part.layers) for one in layer}
    for number, edge in enumerate(part.edges):
        way = [edge.child]
        for i in range(level[edge.child] + 1, level[edge.parent]):
            way.append(f"\0{number}.{i}")
            rows[i].append(way[-1])
        way.append(edge.parent)
        links += list(itertools.pairwise(way))
        routes[edge] = way
    _order(rows, links)
    place, width = _places(rows)
    paths = [_curve(graph, edge, [place[one] for one in way]) for edge, way in routes.items()]
    boxes = [_box(graph.node(one), place[one], own=one == name) for row in rows for one in row if place[one].real]
    backs = [_back(edge, place[edge.child], place[edge.parent], width) for edge in part.closing]
    height = (len(rows) - 1) * _LAYER + _HIGH + 4
    labels = "".join(label for _, label in paths)
    drawing = "".join(path for path, _ in paths) + "".join(backs) + "".join(boxes) + labels
    return _svg(drawing, width + (60 if backs else 0), height, name, "wide")


def _order(rows: list[list[str]], links: Sequence[tuple[str, str]]) -> None:
    """Fewer crossings: each row by the mean place of its neighbours, downwards and upwards in turn."""
    up: dict[str, list[str]] = {}
    down: dict[str, list[str]] = {}
    for child, parent in links:
        up.setdefault(parent, []).append(child)
        down.setdefault(child, []).append(parent)
    for sweep in range(6):
        forward = sweep % 2 == 0
        order = range(1, len(rows)) if forward else range(len(rows) - 2, -1, -1)
        for i in order:
            beside = rows[i - 1] if forward else rows[i + 1]
            at = {one: place / max(1, len(beside) - 1) for place, one in enumerate(beside)}
            rows[i].sort(key=_mean(at, up if forward else down))


def _mean(at: Mapping[str, float], beside: Mapping[str, list[str]]) -> Callable[[str], float]:
    def mean(one: str) -> float:
        found = [at[other] for other in beside.get(one, ()) if other in at]
        return sum(found) / len(found) if found else 0.5

    return mean


def _places(rows: Sequence[Sequence[str]]) -> tuple[dict[str, _Place], float]:
    """Rows centred above each other."""

    def wide(one: str) -> float:
        return _BOX if not one.startswith("\0") else 0.55 * _BOX

    widths = [sum(map(wide, row)) + _GAP * (len(row) - 1) for row in rows]
    most = max(*widths, _BOX) + 4
    found: dict[str, _Place] = {}
    for i, row in enumerate(rows):
        x = (most - widths[i]) / 2
        for one in row:
            found[one] = _Place(x + wide(one) / 2, 2 + i * _LAYER, wide(one), not one.startswith("\0"))
            x += wide(one) + _GAP
    return found, most


def _curve(graph: Graph, edge: Edge, way: Sequence[_Place]) -> tuple[str, str]:
    """From the foot of the child to the head of the parent, and its label half way down to the first stop."""
    start, end = way[0], way[-1]
    spread = (end.x - start.x) * 0.06 if len(way) == 2 else (way[1].x - start.x) * 0.06
    points = [(start.x + max(-60.0, min(60.0, spread)), start.y + _HIGH)]
    points += [(one.x, one.y + _HIGH / 2) for one in way[1:-1]]
    points.append((end.x, end.y))
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in itertools.pairwise(points):
        middle = (y + to_y) / 2
        path += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
    label = _cut(_label(graph, edge), 26)
    text = (
        f'<text class="how" x="{end.x:.1f}" y="{end.y - 10:.1f}" text-anchor="middle" font-size="12">'
        f"{escape(label)}</text>"
    )
    return _path(path, edge), text


def _path(path: str, edge: Edge, *, closing: bool = False) -> str:
    dash = ' stroke-dasharray="3 4"' if closing else ""
    title = f"{edge.child} {WORDS[edge.how]} {edge.parent}"
    return (
        f'<path class="edge {edge.how.value}" d="{path}" fill="none" stroke="currentColor" stroke-width="1.5"{dash}>'
        f"<title>{escape(title)}</title></path>"
    )


def _back(edge: Edge, child: _Place, parent: _Place, width: float) -> str:
    """The edge that closes a circle, round the right side."""
    x, y = child.x + child.width / 2, child.y + _HIGH / 2
    to_x, to_y = parent.x + parent.width / 2, parent.y + _HIGH / 2
    if child is parent:
        path = f"M{x:.1f} {y - 14:.1f}C{x + 44:.1f} {y - 26:.1f} {x + 44:.1f} {y + 26:.1f} {x:.1f} {y + 14:.1f}"
    else:
        path = f"M{x:.1f} {y:.1f}C{width + 50:.1f} {y:.1f} {width + 50:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
    return _path(path, edge, closing=True)


def _box(node: Node, place: _Place, *, own: bool) -> str:
    x, y = place.x - _BOX / 2, place.y
    kind = node.kind.value if node.kind else "unknown"
    radius = 20 if kind == "dataset" else 10
    lines = [
        _text(place.x, y + 24, _cut(node.name or node.id, 23), "name", 14),
        _text(place.x, y + 41, _cut(_about(node), 27), "kind", 12),
        _text(place.x, y + 57, _cut(licence_words(node), 27), "licence" if _stated(node) else "licence open", 12),
    ]
    rect = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_BOX}" height="{_HIGH}" rx="{radius}" fill="none" '
        'stroke="currentColor"></rect>'
    )
    return _linked(node, f'<g class="thing {kind}{" own" if own else ""}">{rect}{"".join(lines)}</g>', own=own)


def _text(x: float, y: float, words: str, kind: str, size: int, anchor: str = "middle") -> str:
    weight = ' font-weight="600"' if kind == "name" else ""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{weight} '
        f'fill="currentColor">{escape(words)}</text>'
    )


def _linked(node: Node, drawing: str, *, own: bool) -> str:
    """With the whole name on demand, and the way to its record."""
    title = f"<title>{escape(f'{node.name or node.id}: {_about(node)}, {licence_words(node)}')}</title>"
    inner = drawing.replace(">", f">{title}", 1)
    if own or not _ADDRESS.fullmatch(node.id):
        return inner
    return f'<a href="/records/{escape(node.id)}">{inner}</a>'


def _about(node: Node) -> str:
    return " · ".join(filter(None, (node.kind.value if node.kind else "kind unknown", node.maker, node.date)))


def _stated(node: Node) -> bool:
    return bool(_sure(node.licence) or _sure(node.terms) or _sure(node.declared))


def _sure(value: str | None) -> str:
    return value if value and value not in ("unknown", "unspecified") else ""


def licence_words(node: Node) -> str:
    """`llama1`; `claims apache-2.0` where no more than that is known; `licence unknown`."""
    if holds := _sure(node.licence) or _sure(node.terms):
        return holds
    return f"claims {node.declared}" if _sure(node.declared) else "licence unknown"


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _svg(drawing: str, width: float, height: float, name: str, kind: str) -> str:
    label = escape(f"From what {name} was made")
    size = f' width="{width:.0f}" height="{height:.0f}"' if kind == "wide" else ""
    return (
        f'<svg class="lineage {kind}" viewBox="0 0 {width:.0f} {height:.0f}"{size} role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{drawing}</svg>'
    )


# Lanes


def _narrow(graph: Graph, name: str, part: Drawn) -> str:
    """A row for each thing, in order of layers: its parents stand below it."""
    order = _walked(part, name)
    row = {one: i for i, one in enumerate(order)}
    parents: dict[str, list[Edge]] = {}
    for edge in part.edges:
        parents.setdefault(edge.child, []).append(edge)
    lanes: list[str | None] = []
    at: dict[str, int] = {}
    lines: list[str] = []
    begun: dict[str, list[tuple[int, int, Edge]]] = {}
    for i, one in enumerate(order):
        lane = lanes.index(one) if one in lanes else _free(lanes)
        lanes[lane] = None
        at[one] = lane
        for from_lane, from_row, edge in begun.pop(one, []):
            lines.append(_path(_strand(from_lane, from_row, lane, i), edge))
        for edge in sorted(parents.get(one, ()), key=lambda edge: row[edge.parent]):
            if edge.parent not in lanes:
                lanes[_free(lanes)] = edge.parent
            begun.setdefault(edge.parent, []).append((lane, i, edge))
    wide = 14 + _LANE * max(len(lanes), 1)
    for edge in part.closing:
        loop = _loop(at[edge.child], row[edge.child], at[edge.parent], row[edge.parent])
        lines.append(_path(loop, edge, closing=True))
    rows = [_line(graph, part, one, i, at[one], wide, own=one == name) for i, one in enumerate(order)]
    return _svg("".join(lines) + "".join(rows), _NARROW, len(order) * _ROW - 14, name, "narrow")


def _walked(part: Drawn, name: str) -> list[str]:
    """Depth first, so that lanes stay short, and no thing before all that were made from it."""
    waiting: dict[str, int] = {}
    parents: dict[str, list[str]] = {}
    for edge in part.edges:
        waiting[edge.parent] = waiting.get(edge.parent, 0) + 1
        parents.setdefault(edge.child, []).append(edge.parent)
    found, stack = [], [name]
    while stack:
        one = stack.pop()
        found.append(one)
        for parent in reversed(parents.get(one, [])):
            waiting[parent] -= 1
            if not waiting[parent]:
                stack.append(parent)
    return found


def _free(lanes: list[str | None]) -> int:
    if None not in lanes:
        lanes.append(None)
    return lanes.index(None)


def _point(lane: int, row: int) -> tuple[float, float]:
    return 10 + _LANE * lane, 22 + _ROW * row


def _strand(lane: int, row: int, to_lane: int, to_row: int) -> str:
    """Out of the dot into the parent's lane at once, and straight down there."""
    (x, y), (to_x, to_y) = _point(lane, row), _point(to_lane, to_row)
    if x == to_x:
        return f"M{x} {y}V{to_y}"
    bend = y + _ROW * 0.6
    return f"M{x} {y}C{x} {bend} {to_x} {y + 6} {to_x} {bend}V{to_y}"


def _loop(lane: int, row: int, to_lane: int, to_row: int) -> str:
    (x, y), (to_x, to_y) = _point(lane, row), _point(to_lane, to_row)
    if row == to_row:
        return f"M{x} {y}c-14 -14 -14 14 0 14"
    return f"M{x} {y}C{x - 16} {y - 8} {to_x - 16} {to_y + 8} {to_x} {to_y}"


def _line(graph: Graph, part: Drawn, one: str, i: int, lane: int, wide: float, *, own: bool) -> str:
    """A dot in its lane; beside it how it was used by what, its name, what it is, its licence."""
    node, (x, y) = graph.node(one), _point(lane, i)
    name = part.layers[0][0]
    most = int((_NARROW - wide) / 7)
    ways = [
        _label(graph, edge) if edge.child == name else f"{edge.child}: {_label(graph, edge)}"
        for edge in part.edges
        if edge.parent == one
    ]
    kind = node.kind.value if node.kind else "unknown"
    texts = [
        _text(wide, y - 13, _cut("; ".join(ways), most), "how", 12, "start") if ways else "",
        _text(wide, y + 5, _cut(node.name or node.id, most - 4), "name", 15, "start"),
        _text(wide, y + 22, _cut(_about(node), most), "kind", 13, "start"),
        _text(
            wide, y + 38, _cut(licence_words(node), most), "licence" if _stated(node) else "licence open", 13, "start"
        ),
    ]
    dot = f'<circle cx="{x}" cy="{y}" r="{7 if own else 5.5}" fill="currentColor" stroke="currentColor"></circle>'
    return _linked(node, f'<g class="thing {kind}{" own" if own else ""}">{dot}{"".join(texts)}</g>', own=own)
