"""What a run has done, in a file of its folder; a run that was killed goes on from it and asks nothing twice.

Every answer of a model, every search and every page is kept under a hash of what was asked, before it is used. So a run
is played again from its beginning each time: what stands here is taken from here, and only what is missing is done. A
changed plan changes what is asked after it, and nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import orjson
from pydantic import ValidationError

from intermodel.core import Conflict, Invalid, NotFound
from intermodel.writer.values import Brief, Choice, Plan, Spent

FILE = "journal.sqlite3"
BAD = "bad_journal"
"""The code of an error that says that the file cannot be used."""
_TABLES = """
create table if not exists run (id integer primary key check (id = 1), at real not null, brief text not null);
create table if not exists calls (
    id integer primary key, at real not null, key text not null, role text not null, step text not null,
    model text not null, answer blob not null, receipt text not null, input integer not null, output integer not null,
    round integer not null, void integer not null
);
create unique index if not exists calls_by_key on calls (key) where not void;
create table if not exists costs (receipt text primary key, nano integer);
create table if not exists looked (key text primary key, at real not null, kind text not null, found text not null);
create table if not exists told (id integer primary key, at real not null, kind text not null, data text not null);
create table if not exists plans (id integer primary key, at real not null, plan text not null);
create table if not exists choices (
    plan text not null, round integer not null, draft text not null, at real not null, action text not null,
    note text not null, primary key (plan, round, draft)
);
"""


@dataclass(frozen=True, slots=True)
class Called:
    """An answer of a model, as it came; `void` where the step that asked for it failed, so it is asked again."""

    role: str
    step: str
    model: str
    answer: bytes
    receipt: str
    input: int
    output: int
    round: int = 0
    void: bool = False
    nano: int | None = None
    """What it came to, in nano-dollars; None where that is not known, or not yet."""


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened; `number` grows."""

    number: int
    at: float
    kind: str
    data: Mapping[str, Any]


def key_of(*parts: str | bytes) -> str:
    """A hash of what is asked, in which no part can run into the next."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def plan_key(plan: Plan) -> str:
    return key_of(plan.model_dump_json())


def draft_key(draft: str) -> str:
    return key_of(draft)


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run. Raises `OSError` where nobody can tell."""
    try:
        return stat.S_ISREG((folder / FILE).stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What SQLite and the disk raise is a mistake that a person can do something about."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise Invalid(
            f"The journal of the run cannot be used: {error}.",
            hint="Is the disk full, or the file damaged? A damaged run can only be removed.",
            code=BAD,
        ) from None


class _Cursor(sqlite3.Cursor):
    """A row is read when it is asked for, so asking fails as well."""

    def execute(self, *args: Any) -> _Cursor:
        with _told():
            super().execute(*args)
        return self

    def executemany(self, *args: Any) -> _Cursor:
        with _told():
            super().executemany(*args)
        return self

    def executescript(self, *args: Any) -> _Cursor:
        with _told():
            super().executescript(*args)
        return self

    def fetchone(self) -> Any:
        with _told():
            return super().fetchone()

    def __next__(self) -> Any:
        with _told():
            return super().__next__()


class _Database(sqlite3.Connection):
    """Raises `Invalid` for all that goes wrong."""

    def execute(self, *args: Any) -> _Cursor:
        return self.cursor(_Cursor).execute(*args)

    def executemany(self, *args: Any) -> _Cursor:
        return self.cursor(_Cursor).executemany(*args)

    def executescript(self, *args: Any) -> _Cursor:
        return self.cursor(_Cursor).executescript(*args)


class Journal:
    """The file. What a method was given is on disk when it returns. Blocks; each call is a small transaction.

    Every method raises `Invalid` (`bad_journal`) for a file that is damaged or cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _told():
            self._database = sqlite3.connect(
                folder / FILE, isolation_level=None, timeout=30, check_same_thread=False, factory=_Database
            )
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = full")
        self._database.executescript(_TABLES)

    @classmethod
    def there(cls, folder: Path) -> Journal:
        """The journal of a run that exists. Raises `NotFound`."""
        with _told():
            there = is_run(folder)
        if not there:
            raise NotFound(f"There is no run in {folder}.", hint='Start one: intermodel write "TOPIC" --out DIR')
        return cls(folder)

    def close(self) -> None:
        self._database.close()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """One process at a time goes on with a run. Raises `Conflict` for a second one."""
        with self._lock("w") as file:
            if not _locked(file, fcntl.LOCK_EX, tries=20):  # who only looks has it for a moment
                raise Conflict(
                    f"The run in {self.folder} is going on in another process.",
                    hint="Wait for it, or stop it first.",
                    code="run_in_progress",
                )
            yield

    def is_held(self) -> bool:
        """Whether a process goes on with it right now."""
        with self._lock("a") as file:
            return not _locked(file, fcntl.LOCK_SH)

    def _lock(self, mode: str) -> IO[Any]:
        with _told():
            return (self.folder / ".lock").open(mode)

    # The brief

    def begin(self, brief: Brief) -> None:
        """Set what is asked for. Raises `Conflict` where the run is about another topic."""
        before = self.brief()
        if before is not None and before.topic != brief.topic:
            raise Conflict(
                f"{self.folder} holds a draft on another topic: '{before.topic[:100]}'.",
                hint="Give another folder with --out.",
                code="other_topic",
            )
        text = orjson.dumps(asdict(brief)).decode()
        self._database.execute(
            "insert into run values (1, ?, ?) on conflict do update set brief = excluded.brief", (time.time(), text)
        )

    def brief(self) -> Brief | None:
        row = self._database.execute("select brief from run").fetchone()
        if row is None:
            return None
        told = orjson.loads(row[0])
        return Brief(**told | {"search": tuple(told["search"])})

    def began(self) -> float:
        row = self._database.execute("select at from run").fetchone()
        return float(row[0]) if row else 0.0

    # Answers of models

    def called(self, key: str) -> Called | None:
        row = self._database.execute(
            "select role, step, model, answer, receipt, input, output, round, void from calls "
            "where key = ? and not void",
            (key,),
        ).fetchone()
        return _called(row) if row else None

    def keep_call(self, key: str, call: Called) -> int:
        cursor = self._database.execute(
            "insert into calls (at, key, role, step, model, answer, receipt, input, output, round, void) "
            "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                time.time(), key, call.role, call.step, call.model, call.answer, call.receipt, call.input, call.output,
                call.round, call.void,
            ),
        )  # fmt: skip
        return cursor.lastrowid or 0

    def void(self, keys: Sequence[str], for_good: str = "", why: Any = None) -> None:
        """What these calls answered could not be used: they stay on the bill, and are made anew; but where the step
        failed `for_good`, `why` is kept under that key, and who looks there asks nothing more. Both or neither."""
        with self._transaction():
            self._database.executemany("update calls set void = 1 where key = ?", [(key,) for key in keys])
            if for_good:
                self.keep_look(for_good, "unusable", why)

    def calls(self) -> list[Called]:
        """All of them, in the order in which they were made."""
        rows = self._database.execute(
            "select role, step, model, answer, receipt, input, output, round, void, nano from calls left join costs "
            "using (receipt) order by id"
        )
        return [_called(row) for row in rows]

    def keep_cost(self, receipt: str, nano: int | None) -> None:
        """What a receipt comes to, in nano-dollars; None where no price is known."""
        self._database.execute("insert or replace into costs values (?, ?)", (receipt, nano))

    def unpriced(self) -> list[str]:
        """Receipts of which nobody has said yet what they come to."""
        rows = self._database.execute(
            "select receipt from calls where receipt != '' and receipt not in (select receipt from costs) order by id"
        )
        return [receipt for (receipt,) in rows]

    def spent(self) -> dict[str, Spent]:
        """By role, over all calls, also those that were in vain."""
        rows = self._database.execute(
            "select role, count(*), sum(input), sum(output), sum(nano), count(nano) from calls "
            "left join costs using (receipt) group by role order by min(calls.id)"
        )
        return {
            role: Spent(calls, read, made, Decimal(nano or 0) / 10**9 if priced == calls else None)
            for role, calls, read, made, nano, priced in rows
        }

    # Searches and pages

    def looked(self, key: str) -> Any:
        """What was found under this key; None where nobody has looked."""
        row = self._database.execute("select found from looked where key = ?", (key,)).fetchone()
        return orjson.loads(row[0]) if row else None

    def keep_look(self, key: str, kind: str, found: Any) -> None:
        self._database.execute(
            "insert or replace into looked values (?, ?, ?, ?)", (key, time.time(), kind, orjson.dumps(found).decode())
        )

    def forget_looks(self) -> None:
        """Search and read anew, where nothing that was found could be used."""
        self._database.execute("delete from looked")

    # What the reader says

    def edit_plan(self, plan: Plan) -> None:
        """From here on this is the plan; what depends on it is done anew."""
        self._database.execute("insert into plans (at, plan) values (?, ?)", (time.time(), plan.model_dump_json()))

    def edited_plan(self) -> Plan | None:
        row = self._database.execute("select plan from plans order by id desc limit 1").fetchone()
        try:
            return Plan.model_validate_json(row[0]) if row else None
        except ValidationError as error:
            raise Invalid(f"The plan in {self.folder} cannot be read: {error}.") from None

    def choose(self, plan: Plan, choice: Choice) -> None:
        """It holds for the draft that is told of as this round's, and for no other that takes its place."""
        if choice.action not in ("accept", "revise", "stop"):
            raise Invalid(f"'{choice.action}' is no choice.", hint="It is accept, revise or stop.")
        self._database.execute(
            "insert or replace into choices values (?, ?, ?, ?, ?, ?)",
            (
                plan_key(plan),
                choice.round,
                self._draft_of(choice.round),
                time.time(),
                choice.action,
                choice.note,
            ),
        )

    def chosen(self, plan: Plan, number: int, draft: str | None = None) -> Choice | None:
        """What the reader said of a round's draft; without one, of that which is told of as this round's."""
        key = self._draft_of(number) if draft is None else draft_key(draft)
        row = self._database.execute(
            "select round, action, note from choices where plan = ? and round = ? and draft = ?",
            (plan_key(plan), number, key),
        ).fetchone()
        return Choice(*row) if row else None

    def _draft_of(self, number: int) -> str:
        """The key of the draft that was told of last as this round's; "" where there is none."""
        rounds = [one.data for one in self.told() if one.kind == "round" and one.data["round"] == number]
        return str(rounds[-1].get("draft", "")) if rounds else ""

    # What happened

    def tell(self, kind: str, **data: Any) -> Told:
        at = time.time()
        text = orjson.dumps(data, default=str).decode()
        cursor = self._database.execute("insert into told (at, kind, data) values (?, ?, ?)", (at, kind, text))
        return Told(cursor.lastrowid or 0, at, kind, orjson.loads(text))

    def name(self) -> str:
        """By which the run's tokens and budget are called; "" where it has none yet."""
        return next((str(one.data["name"]) for one in self.told() if one.kind == "named"), "")

    def told(self, after: int = 0) -> list[Told]:
        rows = self._database.execute("select id, at, kind, data from told where id > ? order by id", (after,))
        return [Told(number, at, kind, orjson.loads(data)) for number, at, kind, data in rows]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")


def _locked(file: IO[str], kind: int, tries: int = 1) -> bool:
    """Whether the lock was had, until the file is closed."""
    for i in range(tries):
        time.sleep(0.02 if i else 0)
        with contextlib.suppress(OSError):
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return True
    return False


def _called(row: Sequence[Any]) -> Called:
    role, step, model, answer, receipt, read, made, number, void, *nano = row
    return Called(role, step, model, answer, receipt, read, made, number, bool(void), *nano)
