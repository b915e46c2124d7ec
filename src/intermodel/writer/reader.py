"""What the reader of a draft says between two starts of its run: take it, send it back, stop, change the plan."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from intermodel.core import Conflict, Invalid
from intermodel.writer.journal import Journal
from intermodel.writer.said import said
from intermodel.writer.state import state_of
from intermodel.writer.values import MOST_ROUNDS, Choice, Plan, Role

MOST_NOTE = 4000
MOST_PLAN = 100_000
"""Bytes of a plan."""


Again = Callable[..., str]
"""Makes the command that goes on with the run in a folder, with more words where they are given."""


def command(folder: Path, *words: str) -> str:
    """That on a node which nobody has to name."""
    return shlex.join(["intermodel", "write", "--resume", str(folder), *words])


def plan_of(folder: Path, again: Again = command) -> Plan:
    """The plan by which a run is written. Raises `NotFound` for no run, `Conflict` where it has none yet. What is to be
    done then is told as a command that `again` makes."""
    journal = Journal.there(folder)
    try:
        plan = journal.edited_plan() or _planned(journal)
    finally:
        journal.close()
    if plan is None:
        raise Conflict(
            "There is no plan yet: it is made once the sources were read.",
            hint=f"Go on first: {again(folder)}", code="no_plan",
        )  # fmt: skip
    return plan


def choose(
    folder: Path, action: Literal["accept", "revise", "stop"], note: str = "", number: int = 0, again: Again = command
) -> Choice:
    """Note what is to become of round `number` (0: the last one). It holds when the run goes on. To `revise` without a
    note is to have the next round as the critic asks for it.

    Raises `Conflict` for a round that is not there or not the last, or where no further one can follow.
    """
    if len(note) > MOST_NOTE:
        raise Invalid(f"The note has {len(note)} characters; at most {MOST_NOTE} are taken.")
    state = state_of(folder)
    _idle(folder)
    last = state.rounds[-1].round if state.rounds else 0
    if not last or number not in (0, last):
        there = f"The last one is {last}." if last else "There is no draft yet."
        raise Conflict(
            f"There is no round {number} to decide on. {there}" if number else there,
            hint=f"Go on first: {again(folder)}", code="no_round",
        )  # fmt: skip
    most = min(int(state.brief["rounds"]), MOST_ROUNDS)
    if action == "revise" and last >= most:
        anew = f"A changed plan begins the rounds anew: {again(folder, '--plan', 'plan.json')}"
        more = f"Allow one more: {again(folder, '--rounds', str(last + 1))}" if last < MOST_ROUNDS else anew
        raise Conflict(
            f"Round {last} was the last of {most}; nothing is written after it.", hint=more, code="no_rounds"
        )
    plan, choice = plan_of(folder, again), Choice(last, action, note.strip())
    journal = Journal.there(folder)
    try:
        journal.choose(plan, choice)
    finally:
        journal.close()
    return choice


def edit_plan(folder: Path, told: bytes, again: Again = command) -> Plan:
    """Write by this plan from now on; what depends on it is done anew. Raises `Invalid`, which says what is wrong."""
    if len(told) > MOST_PLAN:
        raise Invalid(f"The plan has {len(told):,} bytes; at most {MOST_PLAN:,} are taken.")
    before = plan_of(folder, again)
    _idle(folder)
    try:
        plan = Plan.model_validate_json(told)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise Invalid(
            f"The plan cannot be read: {place}: {first['msg']}.",
            hint="It has title, audience, sections of heading and claims, and open_questions. The present one: "
            f"{again(folder, '--show-plan')}",
            code="bad_plan",
        ) from None
    if not plan.sections or not plan.title.strip():
        raise Invalid("The plan has no title or no section.", code="bad_plan")
    if plan != before:
        journal = Journal.there(folder)
        try:
            journal.edit_plan(plan)
        finally:
            journal.close()
    return plan


def _idle(folder: Path) -> None:
    journal = Journal.there(folder)
    try:
        if journal.is_held():
            raise Conflict(f"The run in {folder} is going on.", hint="Stop it first, or wait.", code="run_in_progress")
    finally:
        journal.close()


def _planned(journal: Journal) -> Plan | None:
    """What the planner answered last."""
    answers = [one.answer for one in journal.calls() if one.role == Role.PLANNER and not one.void]
    for answer in reversed(answers):
        try:
            return Plan.model_validate_json(said(answer, structured=True).text)
        except ValidationError:
            continue
    return None
