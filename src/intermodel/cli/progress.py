"""What a run of the writer shows in a terminal: each step as the journal tells it, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from pathlib import Path

from rich.live import Live
from rich.table import Table
from rich.text import Text

from intermodel.cli.output import cell, err, out, plain
from intermodel.core import Invalid
from intermodel.writer import export
from intermodel.writer.check import unverified
from intermodel.writer.estimate import Estimate
from intermodel.writer.journal import FILE, Journal, Told
from intermodel.writer.outcome import said_of
from intermodel.writer.state import ARTICLE, RoundState, RunState, account_of
from intermodel.writer.text import cut
from intermodel.writer.values import Article, Gap

LOOK_S = 0.3
"""How often the journal is read."""
BAR = 30
_MOST_LINES = 12


class Progress:
    """Follows a journal while a run writes to it, from its own connection."""

    def __init__(self, folder: Path, *, quiet: bool) -> None:
        self._folder = folder
        self._quiet = quiet
        self._began = time.monotonic()
        self._last: int | None = None
        self._doing = ""
        self._round = ""
        self._count = self._money = ""

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """For the length of the block. Where nobody looks at a terminal, each step is a line on standard error."""
        if self._quiet:
            yield
            return
        with contextlib.ExitStack() as stack:
            live = stack.enter_context(Live(console=err, transient=True)) if err.is_terminal else None
            task = asyncio.create_task(self._follow(live), name="show progress")
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait({task})
                await asyncio.to_thread(self._look)

    async def _follow(self, live: Live | None) -> None:
        while True:
            await asyncio.to_thread(self._look)
            if live is not None:
                live.update(self._line())
            await asyncio.sleep(LOOK_S)

    def _look(self) -> None:
        with contextlib.suppress(Invalid):  # the run itself says what is wrong with its journal
            self._read()

    def _read(self) -> None:
        if not (self._folder / FILE).is_file():
            return
        journal = Journal(self._folder)
        try:
            told = journal.told(self._last or 0)
            if self._last is None:  # what was told before this start is not told again
                starts = [one.number for one in told if one.kind == "started"]
                told = [one for one in told if starts and one.number >= starts[-1]]
                if not told:
                    return
            for one in told:
                self._hear(one)
                self._last = one.number
            spent = journal.spent().values()
            tokens = sum(one.input_tokens + one.output_tokens for one in spent)
            known = [one.dollars for one in spent]
            if not journal.unpriced():  # else what the last call came to is being asked for
                money = UNKNOWN if None in known else money_of(sum((d for d in known if d is not None), Decimal(0)))
                self._money = money
            self._count = f"{sum(one.calls for one in spent)} calls  {tokens:,} tokens"
        finally:
            journal.close()

    def _hear(self, one: Told) -> None:
        data = one.data
        if one.kind == "step":
            self._doing = f"{data['role']}: {data['step']}" if data["state"] == "started" else ""
            if data["state"] in ("done", "failed"):
                mark = "[green]✓[/]" if data["state"] == "done" else "[red]✗[/]"
                told = account_of(data.get("left_out", 0), data.get("context", 0), data.get("cut_at", 0))
                self._say(mark, f"{data['role']}: {data['step']}", told or cut(data.get("why", ""), 160))
        elif one.kind == "round":
            self._round = f"round {data['round']}: {data['score']:g}"
            self._say("[bold]●[/]", f"round {data['round']}", f"score {data['score']:g}, {data['problems']} problems")
        elif one.kind == "learned":
            self._say("[yellow]![/]", data["why"], "")
        elif one.kind == "edited":
            changed = data.get("of", export.MARKDOWN)
            self._say("[yellow]![/]", f"{changed} was changed by hand", f"what it was is kept as {data['file']}")
        elif one.kind in ("search", "page") and data["why"]:
            self._say("[yellow]![/]", f"{one.kind}: {cut(data['what'], 80)}", cut(data["why"], 160))

    def _say(self, mark: str, what: str, more: str) -> None:
        err.print(Text.assemble(Text.from_markup(mark), " ", cell(what), "  ", cell(more, "dim")), soft_wrap=True)

    def _line(self) -> Text:
        seconds = int(time.monotonic() - self._began)
        parts = [self._doing or "working", self._round, self._count, self._money, f"{seconds // 60}:{seconds % 60:02}"]
        return Text("  ").join([cell(part) for part in parts if part])


UNKNOWN = "$ unknown"


def money_of(dollars: Decimal | None) -> str:
    """Dollars as people read them; small sums with more places."""
    if dollars is None:
        return UNKNOWN
    return f"${dollars:.2f}" if dollars >= 1 or not dollars else f"${dollars:.3g}"


def show_estimate(told: Estimate, budget: str) -> None:
    """What a run may take, and what holds it."""
    err.print(f"About {_span(told.calls)} calls, {_span(told.input)} tokens read and {_span(told.output)} made.")
    if told.dollars is None:
        names = ", ".join(told.unpriced)
        err.print(plain(f"What it costs is unknown: no price is known of {names}. No budget holds it."), markup=False)
    elif told.dollars[1] == 0:
        err.print("It costs nothing: every model runs on this machine, or is free.")
    else:
        err.print(f"That is {money_of(told.dollars[0])} to {money_of(told.dollars[1])}.", end=" ")
        err.print(f"It ends at ${budget} whatever happens." if budget else "No budget holds it.")


def _span(ends: tuple[int, int]) -> str:
    return f"{ends[0]:,} to {ends[1]:,}"


def show_end(
    folder: Path, state: RunState, article: Article | None, again: Callable[..., str], *, failed: bool = False
) -> None:
    """How it ended: scores, what is not verified, what it cost, where the files are, and last which draft the post is.
    `again` makes the command that goes on with it; `failed`: why is told elsewhere."""
    if not failed:
        _show_standing(state, again)
    if state.rounds:
        out.print(_chart(state.rounds, float(state.brief["accept"])))
    if article is not None:
        _show_gaps("Not verified", [(gap.what, gap.why) for gap in _unverified(article)])
        open_ = [(one.quote or one.by, one.why) for one in article.best.verdict.problems if one.severity == "should"]
        _show_gaps("Could be better", open_)
    _show_gaps("Not found", [(gap["what"], gap["why"]) for gap in state.gaps])
    in_part = [(f"{step.role}: {step.step}", step.account) for step in state.steps if step.account]
    _show_gaps("In part", [*in_part, *((why, "") for why in state.learned)])
    if state.spent:
        out.print(_bill(state))
    for name in (export.MARKDOWN, export.HTML, ARTICLE, export.BUNDLE, export.SCORES):
        if (folder / name).is_file():
            out.print(cell(folder / name), soft_wrap=True)
    if state.post is not None:
        said = said_of(state.post, waiting=state.standing == "waiting")
        before = "From before, the folder holds a post. " if failed else ""
        out.print(Text(plain(before + said), "bold"), soft_wrap=True)


def _show_standing(state: RunState, again: Callable[..., str]) -> None:
    words = {
        "accepted": "The critic accepts it.", "stuck": "Two rounds brought no gain; this is the best draft.",
        "rounds": "All rounds are over; this is the best draft.", "reader": "You took it.",
        "budget": "The budget is spent; this is the best draft until then.",
    }  # fmt: skip
    if state.standing == "waiting":
        said = f"It waits for you. Say --accept-draft, --revise NOTE or --stop: {again('--accept-draft')}"
    else:
        said = " ".join(filter(None, (words.get(state.ending, ""), state.why)))
        if state.ending == "budget":
            said += f"\nGo on with: {again('--budget', 'MORE')}"
    out.print(Text(plain(said, keep="\n"), "bold"), soft_wrap=True)


def _unverified(article: Article) -> Sequence[Gap]:
    return unverified(article.best.draft, article.best.verdict.problems, article.brief.language)


def _show_gaps(title: str, rows: Sequence[tuple[str, str]]) -> None:
    if not rows:
        return
    out.print(f"\n[bold]{title}[/]")
    for what, why in rows[:_MOST_LINES]:
        out.print(Text.assemble("  ", cell(cut(" ".join(what.split()), 120)), "  ", cell(cut(why, 200), "dim")))
    if len(rows) > _MOST_LINES:
        out.print(f"  ... and {len(rows) - _MOST_LINES} more in {ARTICLE}", style="dim")


def _chart(rounds: Sequence[RoundState], accept: float) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for one in rounds:
        full = round(one.score / 10 * BAR)
        line = "█" * full + "·" * (BAR - full)
        best = "best" if one.round == rounds[-1].best else ""
        style = "green" if one.score >= accept else ""
        table.add_row(f"round {one.round}", Text(line, style), f"{one.score:g} of 10", f"{one.problems} problems", best)
    return table


def _bill(state: RunState) -> Table:
    table = Table("role", "calls", "tokens read", "made", "$", box=None)
    for role, one in state.spent.items():
        table.add_row(role, str(one.calls), f"{one.input_tokens:,}", f"{one.output_tokens:,}", _amount(one.dollars))
    every = state.spent.values()
    table.add_row(
        "all", str(sum(o.calls for o in every)), f"{sum(o.input_tokens for o in every):,}",
        f"{sum(o.output_tokens for o in every):,}", _amount(state.dollars), style="bold",
    )  # fmt: skip
    return table


def _amount(dollars: Decimal | None) -> str:
    return "unknown" if dollars is None else f"{dollars:f}"
