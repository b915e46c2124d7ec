"""`intermodel write --evaluate`: the topics that ship are written on, and it is measured whether the rounds help."""

from __future__ import annotations

import asyncio
import shlex
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import orjson
import typer

from intermodel.cli.door import Door
from intermodel.cli.output import cell, err, out, plain, print_json
from intermodel.cli.playing import agree, interruptible, played, program, searchable
from intermodel.core import Invalid
from intermodel.writer.compared import picture, table
from intermodel.writer.estimate import Estimate, Span, check_budget, estimate
from intermodel.writer.evaluate import Report, Run, Topic, evaluate_all, run_of, topics
from intermodel.writer.export import digest_of
from intermodel.writer.keeping import put_aside, write
from intermodel.writer.values import Brief

REPORT, TABLE, PICTURE = "evaluation.json", "evaluation.md", "evaluation.svg"
_WRITTEN = ".evaluation"
"""Digests of these files, as an evaluation wrote them."""


def evaluate(
    door: Door, brief: Brief, folder: Path, *, file: Path | None = None, yes: bool = False, as_json: bool = False
) -> None:
    """Write on every topic (those in `file`, else those that ship), each with the budget of the brief, in a folder of
    its own; go on where it was."""
    told = topics(file)
    for topic in told:
        if topic.id in ("", "..") or Path(topic.id).name != topic.id or not topic.id.isprintable():
            raise Invalid(f"{topic.id[:100]!a} is no id of a topic: it names a folder.", hint="Write licence-terms.")
    searchable(door.settings.writer, brief.search)
    _agree(door, brief, len(told), yes=yes or folder.exists())

    async def write_one(topic: Topic) -> Run:
        err.print(cell(f"{topic.id}: {topic.topic}", "bold"), soft_wrap=True)
        place = folder / topic.id
        await played(door, replace(brief, topic=topic.topic), place, quiet=as_json)
        return await asyncio.to_thread(run_of, topic, place)

    again = shlex.join([program(), *sys.argv[1:]])
    report = interruptible(evaluate_all(write_one, told, lambda topic: run_of(topic, folder / topic.id)), again)
    _keep(report, folder)
    if as_json:
        print_json(report.document() | {"folder": str(folder)})
        return
    show(report, folder)
    if report.unfinished:
        raise typer.Exit(1)


def show(report: Report, folder: Path) -> None:
    """The table, and where the files are."""
    out.print(plain(table(report), keep="\n"), markup=False, soft_wrap=True)
    for name in (TABLE, PICTURE, REPORT):
        out.print(cell(folder / name), soft_wrap=True)


def _agree(door: Door, brief: Brief, count: int, *, yes: bool) -> None:
    one = estimate(brief, asyncio.run(door.prices(brief)))
    check_budget(brief, one)
    dollars = None if one.dollars is None else (one.dollars[0] * count, one.dollars[1] * count)
    read, made = _times(one.input, count), _times(one.output, count)
    every = Estimate(_times(one.calls, count), read, made, dollars, one.unpriced)
    err.print(f"{count} topics, each with a budget of its own.")
    agree(every, f"{Decimal(brief.dollars) * count:f}" if brief.dollars else "", yes=yes)


def _times(span: Span, count: int) -> Span:
    return span[0] * count, span[1] * count


def _keep(report: Report, folder: Path) -> None:
    files = {
        REPORT: orjson.dumps(report.document(), option=orjson.OPT_INDENT_2), TABLE: table(report).encode(),
        PICTURE: picture(report).encode(),
    }  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = _written(folder / _WRITTEN)
        for name, data in files.items():
            if kept := put_aside(folder / name, data, before):
                err.print(
                    cell(f"{name} was not as an evaluation leaves it; what it was is kept as {kept}."), soft_wrap=True
                )
        written = dict.fromkeys([*before, *(digest_of(data) for data in files.values())])
        write(folder / _WRITTEN, orjson.dumps(list(written)))
        for name, data in files.items():
            write(folder / name, data)
    except OSError as error:
        raise Invalid(f"{folder} cannot be written: {error.strerror}.") from None


def _written(file: Path) -> list[str]:
    """Digests of what evaluations wrote in a folder."""
    try:
        return [str(one) for one in orjson.loads(file.read_bytes())]
    except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
        return []
