"""Grades against what the frameworks' own projects published."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from intermodel.records.openness import mof
from intermodel.records.openness.approved import open_to_the_tool
from intermodel.records.openness.fmti import indicators
from intermodel.records.openness.formats import mot
from intermodel.records.openness.formats.places import parse
from intermodel.records.openness.read import grade_file, in_order

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
MOF, OUCG, FMTI = ORACLES / "mof", ORACLES / "opening-up-chatgpt", ORACLES / "fmti"

pytestmark = pytest.mark.skipif(not ORACLES.is_dir(), reason="the published results are not on this machine")


def published() -> list[dict[str, Any]]:
    if not ORACLES.is_dir():
        return []
    models: list[dict[str, Any]] = json.loads((MOF / "expected_results.json").read_text("utf-8"))["models"]
    return models


@pytest.mark.parametrize("model", published(), ids=lambda model: model["release"]["name"])
def test_class_and_progress_of_the_model_openness_tool(model: dict[str, Any]) -> None:
    said = model.pop("classification")
    grade = mof.grade(mot.read(parse(json.dumps(model), "expected_results.json")), exact=True)
    assert grade.outcome == said["label"]
    assert dict(grade.parts) == {f"class_{level}": share for level, share in said["progress"].items()}


def test_classes_of_the_real_models_of_the_model_openness_tool() -> None:
    """The tool publishes no classes of these; another program of the same rule counted so many of each."""
    labels = Counter(grade_file(path, "mof")[0].grade.outcome for path in (MOF / "models").glob("*.yml"))
    assert labels == {mof.LABELS[0]: 242, mof.LABELS[1]: 14, mof.LABELS[2]: 1, mof.LABELS[3]: 16}


def test_real_models_against_classes_recomputed_elsewhere() -> None:
    file = MOF / "recomputed_classes.json"
    if not file.exists():
        pytest.skip("recomputed_classes.json is not among the published results here")
    for name, level in json.loads(file.read_text("utf-8")).items():
        assert grade_file(MOF / "models" / f"{name}.yml", "mof")[0].grade.outcome == mof.LABELS[level], name


def test_the_same_licences_are_open_to_the_model_openness_tool() -> None:
    """Our list is made from SPDX's list 3.24.0; the tool's own list is of the day before that was released."""
    theirs = {}
    for name in ("licenses.json", "mof-licenses.json"):  # in the order in which the tool imports them
        for one in json.loads((MOF / "licences" / name).read_text("utf-8"))["licenses"]:
            theirs[one["licenseId"]] = bool(one.get("isOsiApproved") or one.get("isFsfLibre"))
    own = json.loads((MOF / "licences" / "open_lists.json").read_text("utf-8"))
    theirs |= dict.fromkeys(own["open_data_licenses"] + own["open_licenses"], True)
    assert {name for name in theirs if open_to_the_tool(name, exact=True)} == {
        n for n, is_open in theirs.items() if is_open
    }
    assert len(theirs) > 650


def test_scores_and_order_of_opening_up_chatgpt() -> None:
    with (OUCG / "df.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    graded = [grade_file(OUCG / row["source.file"].lstrip("/"), "oucg")[0] for row in rows]
    assert len(rows) == 46
    assert [one.grade.score for one in graded] == [float(row["openness"]) for row in rows]
    order = [Path(one.file).name for one in in_order(graded[::-1])]
    assert order == [Path(row["source.file"]).name for row in rows]


def test_totals_of_the_transparency_index_of_2023() -> None:
    table = FMTI / "October2023" / "October2023_scores.csv"
    with table.open(encoding="utf-8-sig", newline="") as file:
        total = {row["Indicator"]: row for row in csv.DictReader(file)}["Total"]
    graded = {one.name: one.grade for one in grade_file(table, "fmti")}
    assert len(graded) == 10
    assert {name: grade.score for name, grade in graded.items()} == {name: float(total[name]) for name in graded}
    assert {len(grade.facts) for grade in graded.values()} == {100}


def test_the_indicators_are_those_of_the_index() -> None:
    with (FMTI / "October2023" / "October2023_scores.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [(row["Domain"], row["Indicator"].strip()) for row in csv.DictReader(file) if row["Domain"]]
    assert [(domain, name) for domain, names in indicators("2023").items() for name in names] == rows
