"""What `evaluate` found, as a table of Markdown and as a picture (SVG). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from intermodel.writer.evaluate import Line, Mean, Measure, Report
from intermodel.writer.values import Spent

_ROW, _TOP, _LEFT, _WIDE, _GAP = 26, 46, 190, 210, 40
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.n{text-anchor:end}.m{text-anchor:middle}.grid{stroke:#ddd}"
    ".way{stroke:#9db4d6;stroke-width:3}.first{fill:#fff;stroke:#50678a;stroke-width:2}.best{fill:#2f6fd0}"
    ".worse{stroke:#d08a2f}.mean{font-weight:600}.span{stroke:#888;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.first{fill:#222;stroke:#9db4d6}}"
)


def table(report: Report) -> str:
    """For a terminal or a document."""
    rows = [
        "| topic | facts | recall: first draft | best draft | precision: first draft | best draft | best round |",
        "|---|---|---|---|---|---|---|",
        *(_row(line) for line in report.lines),
        f"| **mean of {len(report.lines)}** | | {_mean(report.recall.first)} | {_mean(report.recall.best)} | "
        f"{_mean(report.precision.first)} | {_mean(report.precision.best)} | |",
    ]
    rows += ["", *_words(report)]
    return "\n".join(rows) + "\n"


def _row(line: Line) -> str:
    if line.why:
        return f"| {line.id} | {line.facts} | failed: {_cell(line.why)} | | | | |"
    numbers = (line.first.recall, line.best.recall, line.first.precision, line.best.precision)
    shares = " | ".join(map(_share, numbers))
    return f"| {line.id} | {line.facts} | {shares} | {line.best_round} of {len(line.rounds)} |"


def _words(report: Report) -> list[str]:
    """What the means come to, with what they cost."""
    points, dollars, tokens = report.points, report.dollars_per_point, report.tokens_per_point
    told = [
        f"- Recall: {_gain(report.recall)}.",
        f"- Precision: {_gain(report.precision)}.",
        "- Intervals are of 95 %, by bootstrap over topics.",
        f"- One round took {_spent(report.one)}; all rounds {_spent(report.every)}.",
    ]
    if points is None:
        told.append("- Further rounds brought no recall.")
    else:
        price = "at prices that are not known" if dollars is None else f"${dollars:.6f}"
        told.append(f"- A point of recall more costs {tokens or 0:,.0f} tokens of one topic, {price}.")
    missing = [f"- Not counted: {name}. {_cell(why)}" for name, why in report.unfinished]
    return told + missing


def _gain(measure: Measure) -> str:
    gain = measure.gain
    if gain.mean is None:
        return "nothing to compare"
    span = "" if gain.low is None or gain.high is None else f" [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
    return f"{100 * gain.mean:+.1f} points{span} from the first draft to the best (n = {gain.n})"


def _spent(spent: Spent) -> str:
    price = "at an unknown price" if spent.dollars is None else f"${spent.dollars:.6f}"
    return f"{spent.calls} calls, {spent.input_tokens + spent.output_tokens:,} tokens, {price}"


def _mean(mean: Mean) -> str:
    if mean.mean is None:
        return "unknown"
    span = "" if mean.low is None or mean.high is None else f" [{100 * mean.low:.0f}, {100 * mean.high:.0f}]"
    return f"{_share(mean.mean)}{span}"


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.0f} %"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:160]


# The picture


def picture(report: Report) -> str:
    """Each topic's first draft (ring) and best one (dot), for both measures; the means with their intervals below."""
    high = _TOP + _ROW * (len(report.lines) + 2) + 20
    width = _LEFT + 2 * _WIDE + _GAP + 30
    recall = [(line.first.recall, line.best.recall) for line in report.lines]
    precision = [(line.first.precision, line.best.precision) for line in report.lines]
    names = "".join(
        f'<text class="n" x="{_LEFT - 14}" y="{_y(at) + 4}">{escape(line.id)}</text>'
        for at, line in enumerate(report.lines)
    )
    mean = f'<text class="n mean" x="{_LEFT - 14}" y="{_y(len(report.lines)) + 4}">mean</text>'
    told = f"Recall: {_gain(report.recall)}. Precision: {_gain(report.precision)}."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {high}" width="{width}" height="{high}" '
        f'role="img"><title>First draft against the best draft, by topic</title><desc>{escape(told)}</desc>'
        f"<style>{_STYLE}</style>{names}{mean}"
        f"{_legend(_y(len(report.lines) + 1) + 12)}"
        f"{_panel('Recall of facts', _LEFT, recall, report.recall)}"
        f"{_panel('Precision of citations', _LEFT + _WIDE + _GAP, precision, report.precision)}</svg>\n"
    )


def _legend(y: int) -> str:
    """What stands for what; the words begin beside their mark."""
    return (
        f'<circle class="first" cx="{_LEFT + 5}" cy="{y - 4}" r="5"/><text x="{_LEFT + 16}" y="{y}">first draft</text>'
        f'<circle class="best" cx="{_LEFT + 105}" cy="{y - 4}" r="5"/><text x="{_LEFT + 116}" y="{y}">best draft</text>'
        f'<path class="span" d="M{_LEFT + 200} {y - 7}v6m0-3h24m0-3v6"/>'
        f'<text x="{_LEFT + 232}" y="{y}">95 % interval of a mean</text>'
    )


def _panel(title: str, left: int, pairs: Sequence[tuple[float | None, float | None]], means: Measure) -> str:
    low = _y(len(pairs)) + 14
    grid = "".join(
        f'<line class="grid" x1="{left + _WIDE * at // 4}" x2="{left + _WIDE * at // 4}" y1="{_TOP - 8}" y2="{low}"/>'
        f'<text class="m" x="{left + _WIDE * at // 4}" y="{_TOP - 14}">{25 * at}{" %" if at == 4 else ""}</text>'
        for at in range(5)
    )
    rows = "".join(_pair(left, _y(at), *pair) for at, pair in enumerate(pairs))
    below = _span(left, _y(len(pairs)) - 9, means.first) + _span(left, _y(len(pairs)) + 9, means.best)
    below += _pair(left, _y(len(pairs)), means.first.mean, means.best.mean)
    return f'<text class="m mean" x="{left + _WIDE // 2}" y="16">{title}</text>{grid}{rows}{below}'


def _pair(left: int, y: int, first: float | None, best: float | None) -> str:
    if first is None or best is None:
        return f'<text class="m" x="{left + _WIDE // 2}" y="{y + 4}">unknown</text>'
    a, b = left + _WIDE * first, left + _WIDE * best
    kind = "way" if best >= first else "way worse"
    return (
        f'<line class="{kind}" x1="{a:.1f}" x2="{b:.1f}" y1="{y}" y2="{y}"/>'
        f'<circle class="first" cx="{a:.1f}" cy="{y}" r="5"/><circle class="best" cx="{b:.1f}" cy="{y}" r="5"/>'
    )


def _span(left: int, y: int, mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return ""
    a, b = left + _WIDE * mean.low, left + _WIDE * mean.high
    return f'<path class="span" d="M{a:.1f} {y - 3}v6m0-3H{b:.1f}m0-3v6"/>'


def _y(row: int) -> int:
    return _TOP + 8 + _ROW * row
