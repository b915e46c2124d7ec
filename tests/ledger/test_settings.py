"""`[ledger]`: witnesses and other ledgers, as settings name them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from intermodel.core import Invalid
from intermodel.ledger import Verifier
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.note import COSIGNATURE
from intermodel.node import build
from intermodel.settings import Ledger, load
from tests.support import settings_for

KEY, OTHER = (Verifier(name, LocalSigner.make().public) for name in ("log", "other"))
WITNESS = Verifier("w.example", LocalSigner.make().public, COSIGNATURE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('witness_for = ["log"]', "name+id+base64"),
        (f'[[ledger.watch]]\nkeys = ["{KEY}", "{OTHER}"]\nurl = "https://x.example"', "must all have its name"),
        (f'[[ledger.watch]]\nkeys = "{KEY}"\nurl = "https://x.example"\n' * 2, "a ledger twice"),
        (f'[[ledger.witnesses]]\nkey = "{WITNESS}"\nurl = "https://x.example"\n' * 2, "a key twice"),
        (f'[[ledger.witnesses]]\nkey = "{WITNESS}"\nurl = "x.example"', "https"),
        ('[[ledger.watch]]\nkeys = []\nurl = "https://x.example"', "at least 1"),
        ("witness_s = 0", "0.1"),
    ],
)
def test_what_makes_no_sense_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "intermodel.toml"
    path.write_text(f"[ledger]\n{text}\n")
    with pytest.raises(Invalid, match=re.escape(said)):
        load(path, {})


async def test_a_key_of_another_kind_or_that_is_mistyped_stops_the_start(tmp_path: Path) -> None:
    mistyped = f"{KEY}".replace("log+", "lag+", 1)
    for options, said in (
        (Ledger(witness_for=(f"{WITNESS}",)), "a witness's own"),
        (Ledger(witness_for=(mistyped,)), "does not match"),
    ):
        with pytest.raises(Invalid, match=re.escape(said)):
            async with build(settings_for(tmp_path, ledger=options)):
                pass
