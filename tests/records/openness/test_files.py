"""Reading files: those of other projects, our own form, and what cannot be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Invalid, NotFound
from intermodel.records.disclosure import Presence
from intermodel.records.openness import mof
from intermodel.records.openness.formats import own
from intermodel.records.openness.formats.places import MOST, parse
from intermodel.records.openness.read import Graded, disclosure, grade_file, in_order, ranks

MOT = """\
framework: {name: 'Model Openness Framework', version: '1.0', date: '2024-12-15'}
release:
  name: some
  license: {distribution: {name: Apache-2.0, path: ''}}
  components:
    - {name: Datasets, license: unlicensed}
    - {name: Model card}
"""
OSAI = """\
system: {name: some, type: text}
trainingcode: {class: open, link: ["https://a.example", "https://b.example"], notes: }
paper: {class: partial}
datasheet: {class: }
package: {class: open}
api: {class: closed, metaprompts: }
architecture: {class: open, notes: the old name}
"""
OUCG = "project: {name: some}\nopencode: {class: open}\npaper: {class: partial}\napi: {class: }\n"
REPORT = "\ufeffDownstream applications,Definition,Score\nData size,how much,1\nCopyrighted data,whose,0\nWages,,\n"
OWN = "disclosure: 1\nname: some\n"


def write(folder: Path, text: str, name: str = "file.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def one(path: Path, framework: str, edition: int = 12) -> Graded:
    (found,) = grade_file(path, framework, edition=edition)
    return found


def test_a_file_of_the_model_openness_tool(tmp_path: Path) -> None:
    found = one(write(tmp_path, MOT), "mof")
    facts = {fact.what: fact for fact in found.grade.facts}
    assert found.name == "some"
    assert facts["Model card: included (Apache-2.0)"].holds is True
    assert facts["Model card: included (Apache-2.0)"].source.endswith("file.yaml, line 7, 'release.components[1]'")
    assert facts["Datasets: unlicensed"].holds is False
    assert facts["Research paper: missing"].holds is False


def test_the_quirk_of_the_tool_is_behind_its_switch(tmp_path: Path) -> None:
    odd = write(tmp_path, MOT.replace("Datasets, license: unlicensed", "Data sets"))
    with pytest.raises(Invalid, match=r"file\.yaml, line 6, 'release\.components\[0\]\.name'.*Did you mean 'Datasets'"):
        grade_file(odd, "mof")
    (found,) = grade_file(odd, "mof", quirks=True)
    assert "Datasets: included (Apache-2.0)" in {fact.what for fact in found.grade.facts}
    twice = write(tmp_path, MOT.replace("Model card", "Datasets"))
    with pytest.raises(Invalid, match="listed twice"):
        grade_file(twice, "mof")
    assert grade_file(twice, "mof", quirks=True)[0].grade.facts[0].what == "Datasets: included (Apache-2.0)"


def test_files_of_the_indexes(tmp_path: Path) -> None:
    european = write(tmp_path, OSAI)
    assert one(european, "osai").grade.score == 2.5 / 12
    assert one(european, "osai", edition=14).grade.score == 3.5 / 14
    assert "https://b.example" in one(european, "osai").grade.facts[4].source
    assert one(write(tmp_path, OUCG), "oucg").grade.score == 1.5
    several = write(tmp_path, OSAI.replace("type: text", "type: [image, text]"))
    assert one(several, "osai").grade.score == 2.5 / 12
    assert one(write(tmp_path, OSAI.replace("type: text", "type: robot")), "osai").grade.score is None


def test_tables_of_the_transparency_index(tmp_path: Path) -> None:
    report = write(tmp_path, REPORT, "Acme_fmtransparencyreport_May2024.csv")
    found = one(report, "fmti")
    assert (found.name, found.grade.score, found.grade.version) == ("Acme", 1, "FMTI-style, indicators of 2023")
    held = {fact.what: fact.holds for fact in found.grade.facts}
    assert (held["Data size"], held["Data copyright status"], held["Wages"]) == (True, False, None)
    matrix = write(
        tmp_path, "Indicator,A,B,Total\r\nModel cost,1,0,1\r\nOpen weights,1,1,2\r\nTotal,2,1,3\r\n", "m.csv"
    )
    assert {one.name: one.grade.score for one in grade_file(matrix, "fmti")} == {"A": 2, "B": 1}


def test_our_own_form_serves_every_framework(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        OWN + "licences: {distribution: MIT}\n"
        "components: {parameters: {presence: open, url: w.safetensors}, datasets: {presence: partial, licence: }}\n"
        "told: {use_policy: {text: none, source: LICENSE}}\n"
        "indicators: {Data size: true, Wages: {met: false, source: DATA.md}}\naccess: {api: closed}\n",
    )
    found = disclosure(path)
    assert found.components["datasets"].licence is None
    assert found.told["use_policy"].presence is Presence.OPEN
    assert (found.indicators, found.indicator_sources["Wages"]) == ({"Data size": True, "Wages": False}, "DATA.md")
    assert [grade.grade.framework for grade in grade_file(path)] == ["mof", "osai", "oucg", "osaid", "fmti", "plain"]
    for name in ("mof", "osai", "oucg", "osaid", "fmti"):
        assert one(path, name).grade.framework == name
    assert one(path, "osai", edition=14).grade.version.endswith("14 dimensions")


def test_ranks_show_ties(tmp_path: Path) -> None:
    texts = {"b": OSAI, "a": OSAI, "c": OSAI.replace("partial", "open"), "d": OSAI.replace("type: text", "type: x")}
    found = [one(write(tmp_path, text, f"{name}.yaml"), "osai") for name, text in texts.items()]
    assert ranks(found) == [2, 2, 1, None]
    assert [Path(entry.file).stem for entry in in_order(found)] == ["c", "b", "a", "d"]


BAD = {
    "broken YAML": ("mof", "release: {name: x", r"file\.yaml, line 1: this is no YAML"),
    "two documents": ("mof", "a: 1\n---\nb: 2\n", "this is no YAML"),
    "a tab": ("mof", "release:\n\tname: x", r"line 2: this is no YAML"),
    "a control character": ("mof", "a: \x00", "this is no YAML"),
    "nothing": ("mof", "", "is empty"),
    "a list": ("mof", "- 1", "must be an object with fields, and is a list"),
    "a word": ("osaid", "hello", "must be an object with fields, and is text"),
    "too deep": ("mof", "[" * 5000, "nested too deeply|no YAML"),
    "no release": ("mof", "framework: {}", "the field 'release' is missing"),
    "no components": ("mof", "release: {name: x}", r"line 1, 'release': the field 'components' is missing"),
    "components no list": ("mof", "release: {name: x, components: y}", r"'release\.components': this must be a list"),
    "an unknown field": ("mof", MOT.replace("license: unl", "licence: unl"), r"line 6, .*Did you mean 'license'"),
    "a licence that is a list": (
        "mof",
        MOT.replace("unlicensed", "[MIT]"),
        r"components\[0\]\.license': this must be text",
    ),
    "a field twice": ("mof", MOT + "release: {}\n", r"line 8, 'release': this field is given twice"),
    "another project's file": ("mof", OUCG, "there is no such field here"),
    "a class that is none": (
        "oucg",
        OUCG.replace("partial", "Open"),
        r"line 3, 'paper\.class': 'Open' is none of open",
    ),
    "an unknown dimension": ("osai", OSAI + "papers: {class: open}\n", r"line 8, 'papers'.*Did you mean 'paper'"),
    "no type": ("osai", "system: {name: x}", "the field 'type' is missing"),
    "old and new name": ("osai", OSAI + "hardware_architecture: {class: open}", r"line 7, 'architecture'"),
    "not our form": ("osaid", MOT, "'disclosure: 1' is missing"),
    "another version": ("osaid", "disclosure: 2\nname: x", "version '2' of this form is not known"),
    "no name": ("osaid", "disclosure: 1", "the field 'name' is missing"),
    "an unknown component": ("osaid", OWN + "components: {wheights: {}}", r"line 3, 'components\.wheights'"),
    "a presence that is none": ("osaid", OWN + "components: {api: {presence: yes}}", "'yes' is none of open"),
    "told without words": ("osaid", OWN + "told: {size: {presence: open}}", "no text tells it"),
    "an unknown indicator": ("fmti", OWN + "indicators: {Data sise: true}", "Did you mean 'Data size'"),
    "an indicator twice": (
        "fmti",
        OWN + "indicators: {Data license: true, Data license status: false}",
        "'Data license status' was answered already",
    ),
    "an indicator maybe": ("fmti", OWN + "indicators: {Data size: maybe}", "'maybe' is none of true, false"),
    "an indicator without answer": ("fmti", OWN + "indicators: {Data size: }", "must be true or false"),
}


@pytest.mark.parametrize(("framework", "text", "said"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_right_is_refused_with_its_place(tmp_path: Path, framework: str, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        grade_file(write(tmp_path, text), framework)
    assert "file.yaml" in caught.value.message


BAD_TABLES = {
    "empty": ("", "is empty"),
    "another table": ("a,b\n1,2\n", "line 1: this is no table of the index"),
    "no company": ("Domain,Indicator,Total\nUpstream,Data size,1\n", "there is no company"),
    "a company twice": ("Indicator,A,A\nData size,1,1\n", "one column stands twice"),
    "a short row": ("Indicator,A\nData size\n", "line 2: 1 cells, where the head"),
    "no indicator": ("Indicator,A\nData sise,1\n", r"line 2: 'Data sise' is no indicator.*Did you mean 'Data size'"),
    "an indicator twice": ("Indicator,A\nData size,1\nData size,0\n", "line 3: 'Data size' stands in line 2 already"),
    "half a point": ("Indicator,A\nData size,0.5\n", "line 2, 'A': '0.5' is no score"),
    "no rows": ("Indicator,A\n", "holds no indicators"),
    "an open quotation": ('Indicator,A\n"Data size,1\n', "no table of comma-separated values"),
}


@pytest.mark.parametrize(("text", "said"), BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_tables_that_cannot_be_right(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        grade_file(write(tmp_path, text, "t.csv"), "fmti")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        grade_file(tmp_path / "none.yaml")
    with pytest.raises(Invalid, match="could not be read"):
        grade_file(tmp_path)
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: caf\xe9")
    with pytest.raises(Invalid, match="byte 9: this is not UTF-8"):
        grade_file(path)
    path.write_bytes(b" " * (MOST + 1))
    with pytest.raises(Invalid, match="larger than"):
        grade_file(path)


def test_yaml_says_what_is_written(tmp_path: Path) -> None:
    found = disclosure(write(tmp_path, "disclosure: 1\nname: no\ntold: {size: {text: 2024-10-28}}\n"))
    assert (found.name, found.told["size"].text) == ("no", "2024-10-28")


def test_an_anchor_that_doubles_itself_costs_nothing() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    with pytest.raises(Invalid, match="no such field"):
        own.read(parse(bomb, "bomb.yaml"))


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda some: some.decode("latin-1")))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"\Asome\.yaml"):
        own.read(parse(text, "some.yaml"))


def test_the_tools_components_are_all_known() -> None:
    levels = [(part.level, part.required) for part in mof.PARTS.values()]
    assert [levels.count((level, True)) for level in (3, 2, 1)] == [6, 4, 4]
    assert len(levels) == 17
