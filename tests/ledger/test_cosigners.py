"""Asking witnesses: what becomes of their answers, whatever they are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from intermodel.core import IntermodelError, Upstream
from intermodel.ledger import Ledger, Verifier, verify
from intermodel.ledger.cosigners import STANDINGS, Cosigner, Cosigners
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.note import COSIGNATURE, Checkpoint, Note, cosigned
from intermodel.ledger.remote import FOLDER, Answer, Standing, read_standings
from intermodel.ledger.watch import Watch
from intermodel.ledger.witness import Witness
from tests.ledger.conftest import said


class Asked:
    """A witness that is there, and asked without a network between; `instead` of its answer it may give another."""

    def __init__(self, name: str, folder: Path, ledger: Ledger) -> None:
        signer = LocalSigner.make()
        self.verifier = Verifier(name, signer.public, COSIGNATURE)
        self.witness = Witness(Watch(folder, [ledger.verifier]), name, signer, lambda: 1_700_000_000)
        self.olds: list[str] = []
        self.instead: Callable[[bytes], Answer] | None = None

    def answer(self, body: bytes) -> Answer:
        self.olds.append(body.split(b"\n", 1)[0].decode())
        if self.instead is not None:
            return self.instead(body)
        try:
            return Answer(200, "text/plain", self.witness.add_checkpoint(body).encode())
        except IntermodelError as error:
            if error.code in ("old_size", "fork"):
                return Answer(409, "text/x.tlog.size", f"{error.hint}\n".encode())
            return Answer(422 if error.code == "bad_proof" else 400, "", b"")


class Setting:
    """A ledger with two witnesses, and a clock."""

    def __init__(self, tmp_path: Path, ledger: Ledger) -> None:
        self.data, self.ledger, self.now = tmp_path, ledger, 0.0
        self.one, self.two = (Asked(f"{n}.example", tmp_path / n, ledger) for n in ("one", "two"))
        self.cosigners = self.make()

    def make(self) -> Cosigners:
        some = [Cosigner(one.verifier, f"http://{one.verifier.name}") for one in (self.one, self.two)]
        return Cosigners(self.ledger, some, self.ask, self.data, 60, lambda: self.now, lambda: 1)

    async def ask(self, url: str, path: str, body: bytes | None, *, private: bool, most: int) -> Answer:
        assert path == "/add-checkpoint"
        assert body is not None
        return (self.one if "one" in url else self.two).answer(body)

    async def round(self) -> Standing:
        """How it stands with the first of them then."""
        await self.cosigners.round()
        return read_standings(self.data / FOLDER / STANDINGS)[str(self.one.verifier)]

    async def good(self, index: int, *witnesses: Asked) -> bool:
        bundle = await self.ledger.bundle([index])
        return verify(bundle, [self.ledger.verifier], [one.verifier for one in witnesses]).good


@pytest.fixture
def setting(tmp_path: Path, ledger: Ledger) -> Setting:
    return Setting(tmp_path, ledger)


async def test_bundles_carry_what_witnesses_signed(setting: Setting) -> None:
    made = await setting.ledger.record(said(1))
    assert not await setting.good(made.index, setting.one)
    assert (await setting.round()).size == 2
    assert await setting.good(made.index, setting.one, setting.two)
    await setting.round()
    assert setting.one.olds == ["old 0"]  # nothing grew: nobody is asked
    await setting.ledger.record(said(2))
    await setting.round()
    assert setting.one.olds == ["old 0", "old 2"]


async def test_after_a_new_start_it_goes_on_where_it_was(setting: Setting) -> None:
    await setting.round()
    setting.cosigners = setting.make()
    await setting.round()
    assert setting.one.olds == ["old 0"]
    (setting.ledger.log.folder / "cosigned").unlink()
    setting.cosigners = setting.make()
    await setting.ledger.record(said(1))
    await setting.round()
    assert setting.one.olds == ["old 0", "old 0", "old 1"]  # it is told where the witness is
    assert setting.ledger.cosigned() is not None


async def test_a_witness_that_is_gone_takes_nothing_from_the_other(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(_: bytes) -> Answer:
        raise Upstream("It could not be reached.")

    first = await setting.ledger.record(said(1))
    await setting.round()
    setting.one.instead = gone
    second = await setting.ledger.record(said(2))
    with caplog.at_level(logging.INFO):
        for _ in range(4):  # it is asked once and then less and less: after 60 s, 120 s, ...
            standing = await setting.round()
            setting.now += 59
    assert (standing.size, standing.trouble) == (2, "It could not be reached.")
    assert len(setting.one.olds) == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert await setting.good(first.index, setting.one, setting.two)
    assert await setting.good(second.index, setting.two)
    assert not await setting.good(second.index, setting.one)
    setting.one.instead = None
    setting.now += 3600
    assert (await setting.round()).trouble == ""
    assert await setting.good(second.index, setting.one, setting.two)  # both lines under the same checkpoint


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(500, "", b"oh"), "It answered 500: oh."),
        (Answer(404, "", b""), "It answered 404."),
        (Answer(200, "", b""), "no signature lines"),
        (Answer(200, "", b"\xff\xff\n"), "is no signature"),
        (Answer(409, "", b"not a size"), "It answered 409"),
    ],
)
async def test_answers_that_are_none(setting: Setting, answer: Answer, told: str) -> None:
    setting.one.instead = lambda _: answer
    standing = await setting.round()
    assert told in standing.trouble
    assert not standing.fork


async def test_signatures_by_others_or_on_something_else(setting: Setting) -> None:
    stranger = LocalSigner.make()

    def line(name: str, text: str) -> Answer:
        return Answer(200, "", str(cosigned(text, name, stranger, 1)).encode())

    text = Note.parse(setting.ledger.checkpoint()).text
    setting.one.instead = lambda _: line("x.example", text)
    assert "no cosignature" in (await setting.round()).trouble
    real = setting.one.witness
    other = Checkpoint(setting.ledger.origin, 9, bytes(32)).text
    signer = real._signer
    forged = str(cosigned(other, "one.example", signer, 1)).encode()
    setting.one.instead = lambda _: Answer(200, "", forged)
    setting.now += 3600
    assert "is not by it" in (await setting.round()).trouble
    note = setting.ledger.cosigned()
    assert note is not None
    assert {one.name for one in note.lines} == {setting.ledger.origin, "two.example"}


@pytest.mark.parametrize("answer", [Answer(409, "", b"99\n"), Answer(409, "", b"1\n"), Answer(422, "", b"")])
async def test_a_witness_that_saw_another_ledger(
    setting: Setting, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    setting.one.instead = lambda _: answer
    with caplog.at_level(logging.ERROR):
        assert (await setting.round()).fork
    assert len(caplog.records) == 1


async def test_a_contradiction_is_not_forgotten_when_the_witness_is_silent(setting: Setting) -> None:
    def gone(_: bytes) -> Answer:
        raise Upstream("It could not be reached.")

    setting.one.instead = lambda _: Answer(409, "", b"99\n")
    told = await setting.round()
    setting.one.instead, setting.now = gone, 3600
    assert await setting.round() == told
    setting.cosigners = setting.make()
    setting.now += 3600
    assert await setting.round() == told
    setting.one.instead, setting.now = None, setting.now + 3600
    assert (await setting.round()).fork is False


async def test_what_cannot_be_kept_is_no_success(setting: Setting) -> None:
    blocked = setting.ledger.log.folder / "cosigned"
    blocked.mkdir()
    standing = await setting.round()
    assert "cannot be kept" in standing.trouble
    assert standing.size == 0
    blocked.rmdir()
    setting.now += 60
    standing = await setting.round()
    assert (standing.trouble, standing.size) == ("", 1)
    assert setting.ledger.cosigned() is not None
    assert setting.one.olds == ["old 0", "old 1"]


async def test_the_one_who_signs_fewer_does_not_replace_for_ever(setting: Setting) -> None:
    """A witness that is taken out of the settings does not hold back what is shown."""
    await setting.round()
    setting.cosigners = Cosigners(
        setting.ledger, [Cosigner(setting.two.verifier, "http://two.example")], setting.ask, setting.data, 60
    )
    await setting.ledger.record(said(1))
    await setting.cosigners.round()
    assert await setting.good(0, setting.two)
    note = Note.parse((setting.ledger.log.folder / "cosigned-most").read_bytes())
    assert Checkpoint.parse(note.text).size == 2
