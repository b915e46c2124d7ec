"""`intermodel top`: what the node does right now, second by second."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from intermodel.cli.node import Node, Url, reached
from intermodel.cli.output import Config, Data, Json, cell, out, plain, print_json, read_settings
from intermodel.core import IntermodelError, Refused

EVERY_S = 1.0
SLOWLY_S = 5.0
"""How often that is asked for which takes the node some work: the sums of an hour and of a day."""
LASTS = timedelta(days=1)
"""As long as someone may look on."""
UNKNOWN = "\N{EN DASH}"
_WIDEST = 100
"""Columns of what is printed once."""
_FEWEST = 2
"""Lines that each table has, however small the window."""


@dataclass(frozen=True, slots=True)
class Model:
    """One deployment or model. None is not known, or nobody may be told."""

    address: str
    running: int
    calls_per_minute: int
    tokens_per_second: float
    """Made by the calls that ended in the last minute."""
    first_token_p50_s: float | None
    """Over the last hour, as `failed`, the share of attempts that failed."""
    failed: float | None
    spent_today_nano: int | None
    unknown_calls_today: int = 0
    """Calls of today whose cost is not known: what was spent is without that."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call in progress."""

    id: str
    model: str
    answering: str
    caller: str
    seconds: float
    tokens: int
    tokens_per_second: float | None


@dataclass(frozen=True, slots=True)
class Budget:
    """Amounts in nano-dollars."""

    name: str
    ceiling_nano: int
    spent_nano: int
    held_nano: int
    begins_anew: str | None

    @property
    def used(self) -> float:
        """The share that is spent or held."""
        return (self.spent_nano + self.held_nano) / max(1, self.ceiling_nano)


@dataclass(frozen=True, slots=True)
class View:
    """Everything at one moment: models busiest first, calls longest first, budgets nearest their ceiling first."""

    url: str
    at: str
    models: Sequence[Model]
    calls: Sequence[Call]
    budgets: Sequence[Budget]


def top(
    once: Annotated[bool, typer.Option("--once", help="Print it once and end.")] = False,
    url: Url = None,
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Watch calls, models and budgets, refreshed every second. q or Ctrl-C ends it.

    Examples:

        intermodel top

        intermodel top --once --json
    """
    settings = read_settings(data, config)
    with reached(settings, url, LASTS) as node:
        watch = Watch(node)
        if as_json:
            print_json(asdict(watch.look()))
        elif once or not out.is_terminal:
            out.print(screen(watch.look(), min(out.width, _WIDEST), None), width=_WIDEST)
        else:
            _show(watch)


class Watch:
    """Asks the node, some of it every time and some more rarely."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._slow: dict[str, Any] = {}
        self._asked = float("-inf")

    def look(self) -> View:
        """How things are now. Raises what the node answers."""
        if time.monotonic() - self._asked >= SLOWLY_S:
            self._slow = self._sums()
            self._asked = time.monotonic()
        now = datetime.now(UTC)
        live = self._node.get("/live")["data"]
        minute = self._spending(now - timedelta(minutes=1))
        return view(self._node.url, now, live, minute, **self._slow)

    def _sums(self) -> dict[str, Any]:
        now = datetime.now(UTC)
        hour: list[Any] = []
        with contextlib.suppress(Refused):  # this token may not see how deployments do
            hour = self._node.get("/performance", since=_moment(now - timedelta(hours=1)))["data"]
        today = self._spending(now.replace(hour=0, minute=0, second=0, microsecond=0))
        return {"hour": hour, "today": today, "budgets": self._node.get("/budgets")["data"]}

    def _spending(self, since: datetime) -> list[Any]:
        return list(self._node.get("/spending", by="model", since=_moment(since))["data"])


def view(
    url: str,
    now: datetime,
    live: Sequence[Mapping[str, Any]],
    minute: Sequence[Mapping[str, Any]],
    hour: Sequence[Mapping[str, Any]],
    today: Sequence[Mapping[str, Any]],
    budgets: Sequence[Mapping[str, Any]],
) -> View:
    """What /live, /spending (of a minute and of today), /performance and /budgets answered, put together."""
    lately, day, did = ({one.get("key", one.get("address")): one for one in found} for found in (minute, today, hour))
    running = [one["answering"] for one in live if one["answering"]]
    names = sorted({*lately, *day, *did, *running} - {""})
    models = [_model(name, running.count(name), lately.get(name), day.get(name), did.get(name)) for name in names]
    return View(
        url,
        _moment(now),
        sorted(models, key=_busiest),
        sorted(map(_call, live), key=lambda one: -one.seconds),
        sorted(map(_budget, budgets), key=lambda one: -one.used),
    )


def _busiest(one: Model) -> tuple[int, int, int, str]:
    return -one.running, -one.calls_per_minute, -(one.spent_today_nano or 0), one.address


def _model(name: str, running: int, minute: Any, day: Any, hour: Any) -> Model:
    failed = hour["failed"].get("failed", 0) + hour["failed"].get("broken", 0) if hour else 0
    return Model(
        name,
        running,
        minute["calls"] if minute else 0,
        round(minute["output_tokens"] / 60, 1) if minute else 0.0,
        hour["first_token_p50_s"] if hour else None,
        failed / hour["attempts"] if hour and hour["attempts"] else None,
        _spent(day) if day else 0,
        day["unknown_calls"] if day else 0,
    )


def _spent(told: Mapping[str, Any]) -> int | None:
    cost = told["cost"]
    return None if cost is None else int(cost["nano"])


def _call(told: Mapping[str, Any]) -> Call:
    saying = told["seconds"] - (told["first_token_s"] or 0.0)
    rate = told["tokens"] / saying if told["first_token_s"] is not None and saying > 0 and told["tokens"] else None
    name = told["caller"]["user"] or told["caller"]["name"]
    return Call(told["id"], told["model"], told["answering"], name, told["seconds"], told["tokens"], rate)


def _budget(told: Mapping[str, Any]) -> Budget:
    ceiling, spent, held = (told[what]["nano"] for what in ("ceiling", "spent", "held"))
    return Budget(told["name"], ceiling, spent, held, told["begins_anew"])


# On the screen


def _show(watch: Watch) -> None:
    console = Console(highlight=False)
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            try:
                shown = screen(watch.look(), console.width, console.height)
            except IntermodelError as error:
                shown = Text(plain(f"{error.message}\n{error.hint}".strip(), "\n"), style="red")
            live.update(shown, refresh=True)
            if pressed(EVERY_S):
                return


@contextlib.contextmanager
def _keys() -> Iterator[Any]:
    """What waits for so many seconds, and says whether q was pressed meanwhile. Without a keyboard it only waits."""
    if not sys.stdin.isatty():
        yield _wait
        return
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def pressed(seconds: float) -> bool:
        ready, _, _ = select.select([keyboard], [], [], seconds)
        return bool(ready) and os.read(keyboard, 64) in (b"q", b"Q", b"")

    tty.setcbreak(keyboard)
    try:
        yield pressed
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _wait(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def screen(seen: View, width: int, height: int | None) -> RenderableType:
    """The whole picture, in so many lines; None: as many as it takes."""
    models, calls, budgets = _lines(height, len(seen.models), len(seen.calls), len(seen.budgets))
    hint = "   q ends" if height is not None else ""
    parts: list[RenderableType] = [_head(seen, width, hint), _models(seen.models[:models], len(seen.models), width)]
    parts += [_calls(seen.calls[:calls], len(seen.calls), width)]
    if seen.budgets:
        parts.append(_budgets(seen.budgets[:budgets], len(seen.budgets), width))
    return Group(*parts) if height is None else _Fitted(Group(*parts), height)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """So many lines of something, however rich breaks what is in it."""

    shown: RenderableType
    height: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self.shown, options, pad=False)
        for line in lines[: self.height]:
            yield from line
            yield Segment.line()


def _lines(height: int | None, models: int, calls: int, budgets: int) -> tuple[int, int, int]:
    """How many lines each table may have: what one leaves, the next ones take."""
    if height is None:
        return models, calls, budgets
    free = height - 3 - (5 if budgets else 3)  # the heads, and a line of room before all tables but the first
    most_budgets = min(budgets, max(_FEWEST, free // 5)) if budgets else 0
    most_calls = min(max(calls, 1), max(_FEWEST, (free - most_budgets) // 2))
    return max(_FEWEST, min(models, free - most_budgets - most_calls)), most_calls, most_budgets


def _head(seen: View, width: int, hint: str) -> RenderableType:
    calls = sum(one.calls_per_minute for one in seen.models)
    tokens = sum(one.tokens_per_second for one in seen.models)
    spent = _spent_today(seen.models)
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_column(justify="right", no_wrap=True)
    line.add_row(
        Text.assemble(("intermodel ", "bold"), (seen.url if width >= 70 else "", "dim")),
        Text.assemble((f"{seen.at[11:19]} UTC", "dim"), (hint, "dim")),
    )
    sums = f"{len(seen.calls)} in progress · {calls} calls/min · {_figure(tokens)} tokens/s · {spent}"
    return Group(line, Text(sums, style="bold cyan", no_wrap=True, overflow="ellipsis"), Text(""))


def _table(title: str, shown: int, total: int, *columns: tuple[str, int | None], width: int) -> Table:
    """`columns`: titles, and the least width of window in which each is shown; figures are to the right."""
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    more = f" ({shown} of {total})" if total > shown else ""
    table.add_column(f"{title}{more}", ratio=1, no_wrap=True, overflow="ellipsis")
    for name, least in columns:
        if least is None or width >= least:
            table.add_column(name, justify="right", no_wrap=True)
    return table


def _models(shown: Sequence[Model], total: int, width: int) -> RenderableType:
    table = _table(
        "MODELS", len(shown), total, ("now", None), ("calls/min", None), ("tokens/s", 60), ("1st token", 50),
        ("failed", 50), ("today", None), width=width,
    )  # fmt: skip
    for one in shown:
        rate = [_figure(one.tokens_per_second)] if width >= 60 else []
        failed = Text(UNKNOWN if one.failed is None else f"{one.failed:.0%}", style="red" if one.failed else "")
        running = Text(str(one.running), style="bold green" if one.running else "dim")
        calls = str(one.calls_per_minute)
        well: list[Any] = [_seconds(one.first_token_p50_s), failed] if width >= 50 else []
        spent = _at_least(one.spent_today_nano, one.unknown_calls_today)
        table.add_row(cell(one.address), running, calls, *rate, *well, spent)
    return table if shown else Group(table, Text("Nothing was called in the last hour.", style="dim"))


def _calls(shown: Sequence[Call], total: int, width: int) -> RenderableType:
    columns = (("answering", 60), ("caller", 70), ("tokens", None), ("tok/s", 50), ("since", None))
    table = _table("\nCALLS IN PROGRESS", len(shown), total, *columns, width=width)
    for one in shown:
        answering = Text(plain(one.answering) if one.answering != one.model else "", overflow="ellipsis")
        cells: list[Any] = [answering] if width >= 60 else []
        cells += [cell(one.caller[:16], "dim")] if width >= 70 else []
        cells += [f"{one.tokens:,}"]
        cells += [_figure(one.tokens_per_second)] if width >= 50 else []
        table.add_row(cell(one.model), *cells, _seconds(one.seconds))
    return table if shown else Group(table, Text("None at this moment.", style="dim"))


def _budgets(shown: Sequence[Budget], total: int, width: int) -> RenderableType:
    table = _table("\nBUDGETS", len(shown), total, ("used", 50), ("left", None), ("of", 60), width=width)
    for one in shown:
        colour = "red" if one.used >= 0.9 else "yellow" if one.used >= 0.75 else "green"
        bar = ProgressBar(total=1, completed=min(1, one.used), width=20, complete_style=colour, finished_style=colour)
        left = max(0, one.ceiling_nano - one.spent_nano - one.held_nano)
        cells: list[Any] = [bar] if width >= 50 else []
        table.add_row(cell(one.name), *cells, _money(left), *([_money(one.ceiling_nano)] if width >= 60 else []))
    return table


def _spent_today(models: Sequence[Model]) -> str:
    """In words, with how many calls it is without."""
    known = [one.spent_today_nano for one in models if one.spent_today_nano is not None]
    unknown = sum(one.unknown_calls_today for one in models)
    left_out = f" without {unknown:,} {'call' if unknown == 1 else 'calls'} of unknown cost" if unknown else ""
    return f"{_at_least(sum(known) if known or not models else None, unknown)} today{left_out}"


def _at_least(nano: int | None, unknown: int) -> str:
    """What is known of a sum: at least so much, where it is without some calls."""
    return f"≥ {_money(nano)}" if unknown and nano is not None else _money(nano)


def _money(nano: int | None) -> str:
    if nano is None:
        return UNKNOWN
    if not nano:
        return "$0"
    return f"${nano / 1e9:,.2f}" if nano >= 10**7 else f"${float(f'{nano / 1e9:.2g}'):.9f}".rstrip("0")


def _seconds(length: float | None) -> str:
    if length is None:
        return UNKNOWN
    if length < 1:
        return f"{length * 1000:.0f} ms"
    return f"{length:.1f} s" if length < 60 else f"{length // 60:.0f}m{length % 60:02.0f}s"


def _figure(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if value >= 10 or not value else f"{value:.1f}"


def _moment(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
