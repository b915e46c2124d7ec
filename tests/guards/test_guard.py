import re
from pathlib import Path

import pytest

from intermodel.core import Invalid
from intermodel.guards import Action, Finding, Guard, hidden, load, redact, sensitive
from intermodel.settings import GuardTable
from intermodel.settings import load as load_settings

DOCS = Path(__file__).parents[2] / "docs" / "guards.md"


def test_settings_name_guards_and_their_actions(tmp_path: Path) -> None:
    file = tmp_path / "intermodel.toml"
    file.write_text('[guards.pii]\nactions = {email = "allow", secrets = "refuse", "*" = "mask"}\non = ["answer"]\n')
    table = load_settings(file, {}).guards["pii"]
    assert (table.provider, table.on) == ("sensitive-data", ("answer",))
    assert kinds(load("pii", table), "a@example.com 10.20.30.40 AKIAIOSFODNN7EXAMPLE") == {
        "email": Action.ALLOW,
        "ip_address": Action.MASK,
        "aws_access_key": Action.REFUSE,
    }


def test_a_kind_comes_before_its_group_and_a_group_before_the_rest() -> None:
    guard = load("g", GuardTable(actions={"*": "allow", "personal": "mask", "email": "refuse"}))
    assert kinds(guard, "a@example.com 10.20.30.40 AKIAIOSFODNN7EXAMPLE") == {
        "email": Action.REFUSE,
        "ip_address": Action.MASK,
        "aws_access_key": Action.ALLOW,
    }


def kinds(guard: Guard, text: str) -> dict[str, Action]:
    return {finding.kind: finding.action for finding in guard.inspect(text)}


def test_without_actions_everything_is_masked() -> None:
    assert kinds(load("g", GuardTable()), "a@example.com") == {"email": Action.MASK}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (GuardTable(provider="magic"), "'magic', which is not installed. Known here: hidden-text, sensitive-data"),
        (GuardTable(actions={"e-mail": "mask"}), "Did you mean 'email'?"),
        (GuardTable(actions={"zzz": "mask"}), "Known: \\*, anthropic_key"),
        (GuardTable(options={"words": []}), "takes no options"),
        (GuardTable(provider="hidden-text", actions={"email": "mask"}), "finds nothing of the kind 'email'"),
    ],
)
def test_mistakes_are_told_when_the_guard_is_made(table: GuardTable, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        load("g", table)


def test_a_finding_holds_no_value() -> None:
    (finding,) = load("g", GuardTable()).inspect("mail a@example.com")
    assert repr(finding) == "Finding(kind='email', start=5, end=18, action=<Action.MASK: 'mask'>)"


def test_redaction_leaves_what_is_allowed() -> None:
    findings = [Finding("x", 0, 1, Action.ALLOW), Finding("y", 2, 3), Finding("z", 4, 5, Action.REFUSE)]
    assert redact("a b c d", findings) == "a [Y] [Z] d"


def test_the_documented_guard_works_as_a_package_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, entry_points, toml = re.findall(r"```(?:python|toml)\n(.*?)```", DOCS.read_text(), re.DOTALL)[-3:]
    (tmp_path / "acme_guards.py").write_text(code)
    info = tmp_path / "acme_guards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-guards\nVersion: 1.0\n")
    group = entry_points.replace('[project.entry-points."intermodel.guards"]', "[intermodel.guards]")
    (info / "entry_points.txt").write_text(group.replace('"', ""))
    monkeypatch.syspath_prepend(tmp_path)

    (tmp_path / "intermodel.toml").write_text(toml)
    table = load_settings(tmp_path / "intermodel.toml", {}).guards["code-names"]
    guard = load("code-names", table)
    text = "When does Blue Heron start, and what is BLUE HERONS?"
    assert redact(text, guard.inspect(text)) == "When does [CODE_NAME] start, and what is BLUE HERONS?"
    stream = guard.stream()
    assert "".join(map(stream.feed, text)) + stream.end() == redact(text, guard.inspect(text))


def test_the_page_names_every_kind() -> None:
    page = DOCS.read_text()
    for groups in (sensitive.GROUPS, hidden.GROUPS):
        for group, members in groups.items():
            assert f"`{group}`" in page
            assert [kind for kind in members if f"`{kind}`" not in page] == []
