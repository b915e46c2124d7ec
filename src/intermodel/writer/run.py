"""One run from its start to whatever ends it: the journal is held, what calls cost is kept, the files are written."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import httpx2
import orjson

from intermodel.core import Conflict, IntermodelError, Invalid, NotFound, OverBudget
from intermodel.writer import export
from intermodel.writer.agents import Agents
from intermodel.writer.calls import error_of
from intermodel.writer.door import NodeDoor
from intermodel.writer.journal import FILE, Called, Journal, key_of
from intermodel.writer.keeping import check_free, drop, put
from intermodel.writer.look import Fetch, Looking, Search
from intermodel.writer.loop import Writing
from intermodel.writer.outcome import post_of
from intermodel.writer.reader import plan_of
from intermodel.writer.research import Research
from intermodel.writer.state import ARTICLE, RunState, state_of
from intermodel.writer.topic import check_topic
from intermodel.writer.values import Article, Brief, Ending, Gap, Notes, Role, Waiting

PARTING_S = 20.0
"""So long the node may take to end the writer's token when a run is stopped."""
_TRIES = 5


async def go_on(folder: Path, brief: Brief, node: NodeDoor, searches: Sequence[Search], fetch: Fetch) -> RunState:
    """Start a run in a folder, or go on with it, to its end or its reader's turn.

    Whatever ends it, `article.json` then holds what was reached, and the journal says why. Raises what kept it from a
    draft, or from exporting one; `Conflict` where another process goes on with it, or the folder is another topic's or
    holds files that no run made.
    Cancelled, it leaves a run that goes on where it was.
    """
    check_topic(brief.topic)
    check_free(folder)
    journal = _opened(folder)
    try:
        with journal.held():
            await asyncio.to_thread(journal.begin, brief)
            journal.tell("started", process=os.getpid())
            run = _Run(folder, brief, journal, node, searches, fetch)
            try:
                await run.play()
            except IntermodelError as error:
                poor = isinstance(error, OverBudget) and error.code != "unpriced_model"
                hint = "Give it more, and go on with it." if poor else error.hint  # else for who makes a single call
                with contextlib.suppress(Invalid):  # where that cannot be written either
                    journal.tell("failed", why=error.message, hint=hint, code=error.code, ending=run.ending)
                raise
    finally:
        journal.close()
    return await asyncio.to_thread(state_of, folder)


def _opened(folder: Path) -> Journal:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid(f"{folder} cannot be used: {error}.", hint="Choose another folder with --out.") from None
    return Journal(folder)


@dataclass(slots=True)
class _Run:
    folder: Path
    brief: Brief
    journal: Journal
    node: NodeDoor
    searches: Sequence[Search]
    fetch: Fetch
    ending: str = ""

    async def play(self) -> None:
        name, costs = self._name(), _Costs(self.journal, self.node)
        finished = False
        contexts = await self.node.contexts()
        spent = sum((one.dollars or Decimal(0) for one in self.journal.spent().values()), Decimal(0))
        ceiling = Decimal(self.brief.dollars) if self.brief.dollars else None
        try:
            token = await self.node.enter(name, ceiling, spent)
            await self._find_lost(name)
            task = asyncio.create_task(costs.run(), name="costs of a draft")
            try:
                told = await self._written(token, contexts, costs)
            finally:
                task.cancel()
                await asyncio.wait({task})
            await self._find_lost(name)
            finished = await self._ended(told, costs)
        finally:
            with contextlib.suppress(IntermodelError, TimeoutError):
                await asyncio.wait_for(self.node.leave(name, finished=finished), PARTING_S)

    async def _written(self, token: str, contexts: Mapping[str, int], costs: _Costs) -> Article | Waiting:
        agents = Agents(self.brief, self.journal, self.node.api, token, contexts, after=costs.heard)
        looking = Looking(self.journal, self.searches, self.fetch)
        try:
            return await Writing(self.brief, self.journal, agents, looking).run()
        except IntermodelError as error:
            await costs.settle()
            account = await self._account()
            notes = await asyncio.to_thread(_salvaged, self.folder, self.brief, contexts, self.searches)
            await asyncio.to_thread(self._keep_found, notes, error.message, account)
            raise
        finally:
            await agents.close()

    async def _ended(self, told: Article | Waiting, costs: _Costs) -> bool:
        """Write the files and say how it ended; whether it is over."""
        await costs.settle(patient=True)
        account = await self._account()
        if isinstance(told, Waiting):
            await asyncio.to_thread(self._keep, told.article, account, "waiting")
            post = post_of(told.article).document()
            self.journal.tell("waiting", round=told.article.rounds[-1].number, post=post)
            return False
        self.ending, post = told.ending.value, post_of(told).document()
        standing: Literal["failed", "finished"] = "failed" if told.ending is Ending.FAILED else "finished"
        text = await asyncio.to_thread(self._keep, told, account, standing)
        if standing == "failed":
            why, hint = told.remark, "Resume it."
            self.journal.tell("failed", why=why, hint=hint, code="not_finished", ending=self.ending, post=post)
            return False
        await self._sign(text, told, account)
        self.journal.tell("finished", why=told.remark, ending=self.ending, post=post)
        return True

    async def _find_lost(self, name: str) -> None:
        """Put on the bill what was paid for and never arrived: the call in which a process was killed, an attempt that
        broke off. Whose it was is told by the step that began last."""
        known = {one.receipt for one in self.journal.calls()}
        lost = [one for one in await self.node.receipts(name) if one.receipt not in known]
        steps = [one.data for one in self.journal.told() if one.kind == "step"]
        for one in lost if steps else ():
            key = key_of("lost", one.receipt)
            role, number = steps[-1]["role"], steps[-1]["round"]
            call = Called(role, "lost", one.model, b"", one.receipt, one.input, one.output, number, void=True)
            self.journal.keep_call(key, call)

    async def _sign(self, text: bytes, article: Article, account: export.Account) -> None:
        """Once for each text. What is to be signed is noted first: a run that was killed before it heard that it was
        signed asks for the very same statement again, and the node signs that once."""
        digest, file = export.digest_of(text), self.folder / export.BUNDLE
        told = self.journal.told()
        if [one.data["digest"] for one in told if one.kind == "signed"][-1:] == [digest] and file.is_file():
            return
        said = next((one.data["said"] for one in told if one.kind == "signing" and one.data["digest"] == digest), None)
        if said is None:
            noted = self.journal.tell("signing", digest=digest, said=export.predicate(article, account))
            said = noted.data["said"]
        bundle = await self.node.sign(export.MARKDOWN, digest, said)
        await asyncio.to_thread(put, self.folder, self.journal, export.BUNDLE, bundle)
        self.journal.tell("signed", digest=digest)

    def _name(self) -> str:
        """The name of the run's token and budget, the same for its whole life."""
        return self.journal.name() or str(self.journal.tell("named", name=secrets.token_hex(6)).data["name"])

    async def _account(self) -> export.Account:
        models = dict.fromkeys(self.brief.model_of(role) for role in Role)
        digests = {model: digest for model in models if (digest := await self.node.digest(model))}
        receipts = [one.receipt for one in self.journal.calls() if one.receipt]
        began = datetime.fromtimestamp(int(self.journal.began()), UTC).isoformat().replace("+00:00", "Z")
        return export.Account(began, self.journal.spent(), receipts, digests)

    # The files

    def _keep(
        self, article: Article, account: export.Account, standing: Literal["waiting", "finished", "failed"]
    ) -> bytes:
        """Write all of them; the post as Markdown. What no longer belongs to the article is gone then."""
        text, page = export.markdown(article, account).encode(), export.html(article, account).encode()
        signed = [one.data["digest"] for one in self.journal.told() if one.kind == "signed"]
        if signed[-1:] != [export.digest_of(text)]:
            drop(self.folder, self.journal, export.BUNDLE)
        picture = export.scores(article.rounds, article.brief.accept, article.best.number)
        everything = _json(export.document(article, account, standing))
        files = {ARTICLE: everything, export.SCORES: picture.encode(), export.HTML: page, export.MARKDOWN: text}
        for name, data in files.items():
            put(self.folder, self.journal, name, data)
        return text

    def _keep_found(self, notes: Notes, why: str, account: export.Account) -> None:
        """What was found; but a post of before stays, with all about it, until there is another one."""
        if self._has_post():
            return
        try:
            plan = plan_of(self.folder)
        except Conflict:
            plan = None
        put(self.folder, self.journal, ARTICLE, _json(export.found(self.brief, notes, plan, why, account)))

    def _has_post(self) -> bool:
        try:
            return (self.folder / export.MARKDOWN).exists() or export.read(self.folder) is not None
        except Invalid:
            return False


class _Costs:
    """Asks what each call came to, as soon as it was made, beside everything else."""

    def __init__(self, journal: Journal, node: NodeDoor) -> None:
        self._journal = journal
        self._node = node
        self._made = asyncio.Event()

    def heard(self, _call: Called) -> None:
        self._made.set()

    async def run(self) -> None:
        while True:
            await self._made.wait()
            self._made.clear()
            await self.settle()

    async def settle(self, *, patient: bool = False) -> None:
        """What is not known now stays open; the next look, or the next start, asks again."""
        for _ in range(_TRIES if patient else 1):
            for receipt in self._journal.unpriced():
                try:
                    nano = await self._node.cost(receipt)
                except NotFound:
                    continue
                except IntermodelError:
                    return
                self._journal.keep_cost(receipt, nano)
            if not self._journal.unpriced():
                return
            await asyncio.sleep(0.2)


def _salvaged(folder: Path, brief: Brief, contexts: Mapping[str, int], searches: Sequence[Search]) -> Notes:
    """What was found before a run failed: its research is played once more, on a copy of the journal, offline."""
    with tempfile.TemporaryDirectory() as place:
        try:
            with (
                closing(sqlite3.connect(folder / FILE)) as original,
                closing(sqlite3.connect(Path(place) / FILE)) as copy,
            ):
                original.backup(copy)
        except sqlite3.Error:
            return Notes()
        journal = Journal(Path(place))
        try:
            failed = [
                Gap(str(one.data["what"]), str(one.data["why"]))
                for one in journal.told()
                if one.kind in ("search", "page") and one.data["why"]
            ]
            try:
                return asyncio.run(_researched(brief, journal, contexts, [_Offline(one.name) for one in searches]))
            except IntermodelError:
                return Notes(gaps=tuple(dict.fromkeys(failed)))
        finally:
            journal.close()


async def _researched(brief: Brief, journal: Journal, contexts: Mapping[str, int], searches: Sequence[Search]) -> Notes:
    agents = Agents(brief, journal, "http://offline/v1", "none", contexts, _Unasked())
    try:
        return await Research(brief, agents, Looking(journal, searches, _Offline("pages"))).begin()
    finally:
        await agents.close()


class _Unasked(httpx2.AsyncBaseTransport):
    """Answers what the journal does not know, so that one step is passed over and the next one tried."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(400, json={"error": {"message": "This was not asked before the run ended."}})


@dataclass(slots=True)
class _Offline:
    """What was not looked for, or not read, before a run ended."""

    name: str

    async def search(self, query: str, limit: int) -> list[Any]:
        raise error_of(400, b'{"error": {"message": "This was not searched for before the run ended."}}')

    async def fetch(self, url: str) -> Any:
        raise error_of(400, b'{"error": {"message": "This was not read before the run ended."}}')

    async def close(self) -> None: ...


def _json(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
