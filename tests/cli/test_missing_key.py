"""A deployment whose key is missing: every command that tells of it says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.process import intermodel, up

CONFIG = """
[engines]
shipped = false
[deployments.vendor]
base_url = "http://127.0.0.1:9/v1"
key_env = "VENDOR_API_KEY"
[deployments.echo]
provider = "echo"
"""
MISSING = "takes its key from the variable VENDOR_API_KEY, which is not set"
MEND = "export VENDOR_API_KEY=... and start the node again."


@pytest.mark.slow
def test_a_missing_key_is_told_with_what_to_do(tmp_path: Path) -> None:
    data = ("--data", tmp_path / "data")
    with up(tmp_path / "data", config=CONFIG) as node:
        listed = intermodel("deployments", *data)
        shown = intermodel("deployments", "show", "vendor", *data)
        tried = intermodel("deployments", "test", "vendor", *data)
        doctor = intermodel("doctor", "--json", *data)
        assert intermodel("deployments", "test", "echo", *data).returncode == 0, "the others can be called"
        node.stop()
    with up(tmp_path / "data", config=CONFIG) as again:
        log = again.log.read_text()
    assert "cannot be used" in listed.stdout
    for told in (listed.stderr, shown.stderr):
        assert f"{MISSING}. {MEND}" in " ".join(told.split())
    assert tried.returncode != 0
    found = {finding["check"]: finding for finding in json.loads(doctor.stdout)}["deployment vendor"]
    assert (found["level"], found["mend"]) == ("bad", MEND)
    assert MISSING in found["found"]
    assert MISSING in log
