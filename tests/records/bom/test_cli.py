"""`intermodel bom`: from a node's record, checked, and read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from intermodel.cli.bom import app
from intermodel.core import Invalid
from intermodel.records.bom import cyclonedx, written
from intermodel.records.record import Record
from tests.records.bom.samples import AT, FULL

RECORD = Record(FULL.address, FULL.digest or "", None, FULL.what, FULL.licence, {}, None, FULL.disclosure, FULL.graph)


class _Node(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path == "/api/v1/records/acme%2Ftiny%40v1"
        body = json.dumps(RECORD.document() if known else {"error": {"message": "There is no such model."}}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A node's API, as far as these verbs need it."""
    monkeypatch.setenv("INTERMODEL_TOKEN", "im_0123456789ab_" + "x" * 43)
    with HTTPServer(("127.0.0.1", 0), _Node) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def bom(*words: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def test_export_check_and_import(url: str, tmp_path: Path) -> None:
    for form, head in (("cyclonedx", '"1.6"'), ("cyclonedx-1.7", '"1.7"'), ("spdx", "spdx-context")):
        file = tmp_path / f"{form}.json"
        done = bom("acme/tiny@v1", "--format", form, "--url", url, "--out", file)
        assert done.exit_code == 0, done.output
        assert head in file.read_text()
        told = bom("check", file)
        assert told.exit_code == 0
        assert "valid by the official schema" in told.stdout
    assert list(tmp_path.glob(".*")) == []

    found = json.loads(bom("import", tmp_path / "cyclonedx.json", "--json").stdout)
    assert found["name"] == "acme/tiny@v1"
    assert found["what"]["parameters"]["value"] == 1_234_567
    shown = bom("import", tmp_path / "cyclonedx.json").stdout
    assert "fine-tune" in shown
    assert "card:license" in shown


def test_export_goes_to_standard_output(url: str) -> None:
    assert json.loads(bom("acme/tiny@v1", "--url", url).stdout)["bomFormat"] == "CycloneDX"


def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    document = cyclonedx(FULL, AT)
    document["version"] = "one"
    file = tmp_path / "bad.json"
    file.write_bytes(written(document))
    done = bom("check", file)
    assert done.exit_code == 1
    assert "/version: 'one' is not of type 'integer'" in done.stdout
    assert json.loads(bom("check", file, "--json").stdout)["valid"] is False


def test_what_cannot_be(url: str, tmp_path: Path) -> None:
    """The errors that `intermodel` turns into a message, a hint and an exit code."""
    for words, kind in (
        (("check", tmp_path / "none.json"), Invalid),
        (("import", tmp_path), Invalid),
        (("acme/tiny@v1", "--url", url, "--out", tmp_path / "no" / "folder.json"), Invalid),
    ):
        error = bom(*words).exception
        assert isinstance(error, kind)
        assert error.hint
    assert "no such model" in str(bom("export", "check", "--url", url).exception)
    assert bom("acme/tiny@v1", "--format", "xml").exit_code == 2
    assert bom("--help").exit_code == 0


def test_a_claim_stays_a_claim_and_what_holds_stays_what_holds(tmp_path: Path) -> None:
    for sort, claimed in (("declared", True), ("concluded", False)):
        licence = {"license": {"id": "Apache-2.0", "acknowledgement": sort}}
        component = {"type": "machine-learning-model", "name": "m", "licenses": [licence]}
        document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [component]}
        file = tmp_path / f"{sort}.json"
        file.write_text(json.dumps(document))
        found = json.loads(bom("import", file, "--json").stdout)
        assert (found["licence"] is None, found["declared"] is None) == (claimed, not claimed)
        assert ("licence it claims" in bom("import", file).stdout) is claimed


def test_where_it_went_is_said_beside_what_was_asked_for(url: str, tmp_path: Path) -> None:
    for name in ("--output", "-o", "--out"):
        file = tmp_path / f"{name}.json"
        done = bom("acme/tiny@v1", "--url", url, "--format", "spdx3", name, file)
        assert (done.stdout, file.is_file()) == ("", True)
        assert f"Wrote {file}" in done.stderr.replace("\n", "")
