"""Each grader's rule, and what all of them promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.records.disclosure import COMPONENTS, DISCLOSED, Component, Disclosure, Presence, Told
from intermodel.records.openness import FRAMEWORKS, Grade, fmti, grades, mof, osai, osaid, oucg, plain
from intermodel.records.openness.approved import open_data, open_to_the_tool, osi_approved
from intermodel.records.openness.dimensions import Answer

OPEN, PARTIAL, CLOSED, UNKNOWN = Presence.OPEN, Presence.PARTIAL, Presence.CLOSED, Presence.UNKNOWN
LICENCES = (None, "", "unlicensed", "MIT", "apache-2.0", "CC-BY-4.0", "CC-BY-NC-4.0", "Apache 2.0", "MIT OR openrail")
INDICATORS = tuple(name for edition in fmti.EDITIONS for group in fmti.indicators(edition).values() for name in group)

EVERYTHING = Disclosure(
    "all",
    {key: Component(OPEN, "MIT") for key in COMPONENTS},
    {key: Told("said", "here", OPEN) for key in DISCLOSED} | {"use_policy": Told("none", "here", OPEN)},
    indicators=dict.fromkeys(INDICATORS, True),
)
NOTHING = Disclosure("nothing")
ORDER = {plain.UNKNOWN: 0, plain.CLOSED: 0, plain.OPEN_ACCESS: 1, plain.OPEN_SOURCE: 2}


def by_name(disclosure: Disclosure) -> dict[str, Grade]:
    return {grade.framework: grade for grade in grades(disclosure)}


def heights(disclosure: Disclosure) -> dict[str, tuple[float, ...]]:
    """How high each grade is, as numbers that can be compared within a framework."""
    found = by_name(disclosure)
    level = {label: -(key or 4) for key, label in mof.LABELS.items()}
    return {
        "mof": (level[found["mof"].outcome], *(share for _, share in found["mof"].parts)),
        "osai": (found["osai"].score or 0,),
        "oucg": (found["oucg"].score or 0,),
        "osaid": (float(found["osaid"].outcome == osaid.PASSED),),
        "fmti": (found["fmti"].score or 0,),
        "plain": (ORDER[found["plain"].outcome],),
    }


components = st.builds(Component, st.sampled_from(Presence), st.sampled_from(LICENCES))
disclosures = st.builds(
    Disclosure,
    st.just("some"),
    st.dictionaries(st.sampled_from(COMPONENTS), components),
    st.dictionaries(
        st.sampled_from(DISCLOSED),
        st.builds(Told, st.sampled_from(("none", "said")), st.just(""), st.sampled_from(Presence)),
    ),
    st.dictionaries(
        st.sampled_from(("code", "data", "document", "distribution")), st.sampled_from(("MIT", "openrail"))
    ),
    st.dictionaries(st.sampled_from(INDICATORS), st.booleans()),
)
almost_everything = disclosures.map(
    lambda some: replace(
        some,
        components={**EVERYTHING.components, **dict(list(some.components.items())[:3])},
        told={**EVERYTHING.told, **dict(list(some.told.items())[:1])},
    )
)


def more_component(disclosure: Disclosure, key: str) -> Disclosure:
    one = disclosure.components.get(key, Component())
    presence = {OPEN: OPEN, PARTIAL: OPEN}.get(one.presence, PARTIAL)
    return replace(disclosure, components={**disclosure.components, key: replace(one, presence=presence)})


def more_licence(disclosure: Disclosure, key: str) -> Disclosure:
    one = disclosure.components.get(key, Component())
    return replace(disclosure, components={**disclosure.components, key: replace(one, licence="MIT")})


def more_told(disclosure: Disclosure, key: str) -> Disclosure:
    said = Told("none" if key == "use_policy" else "said", "", OPEN)
    return replace(disclosure, told={**disclosure.told, key: said})


def more_indicator(disclosure: Disclosure, key: str) -> Disclosure:
    return replace(disclosure, indicators={**disclosure.indicators, key: True})


steps = st.one_of(
    st.tuples(st.just(more_component), st.sampled_from(COMPONENTS)),
    st.tuples(st.just(more_licence), st.sampled_from(COMPONENTS)),
    st.tuples(st.just(more_told), st.sampled_from(DISCLOSED)),
    st.tuples(st.just(more_indicator), st.sampled_from(INDICATORS)),
)


@given(disclosures | almost_everything, steps)
def test_more_disclosed_never_lowers_a_grade(
    disclosure: Disclosure, step: tuple[Callable[[Disclosure, str], Disclosure], str]
) -> None:
    before, after = heights(disclosure), heights(step[0](disclosure, step[1]))
    assert {name for name in before if any(b > a for b, a in zip(before[name], after[name], strict=True))} == set()


@given(disclosures | almost_everything)
def test_unknown_never_counts_as_open(disclosure: Disclosure) -> None:
    closed = replace(
        disclosure,
        components={key: Component(CLOSED) for key in COMPONENTS}
        | {k: one for k, one in disclosure.components.items() if one.presence is not UNKNOWN},
        told={k: Told("", "", CLOSED) for k in DISCLOSED}
        | {k: one for k, one in disclosure.told.items() if one.presence is not UNKNOWN},
        indicators=dict.fromkeys(INDICATORS, False) | dict(disclosure.indicators),
    )
    assert heights(disclosure) == heights(closed)


@given(disclosures)
def test_each_grade_names_its_rule_and_its_grounds(disclosure: Disclosure) -> None:
    found = grades(disclosure)
    assert tuple(grade.framework for grade in found) == FRAMEWORKS
    for grade in found:
        assert grade.version
        assert grade.facts
        assert grade.document()["facts"][0].keys() == {"what", "holds", "source"}
        if grade.score is not None and grade.most is not None:
            assert 0 <= grade.score <= grade.most


def test_everything_open_is_at_the_top_and_nothing_would_raise_it() -> None:
    outcomes = {name: grade.outcome for name, grade in by_name(EVERYTHING).items()}
    assert outcomes == {
        "mof": "Class I - Open Science Model",
        "osai": "1.00 of 1",
        "oucg": "14 of 14",
        "osaid": "passed",
        "fmti": "100 of 100",
        "plain": "open source",
    }
    assert [grade.raised_by for grade in grades(EVERYTHING)] == [()] * 6


def test_nothing_known_is_unknown_and_not_closed() -> None:
    found = by_name(NOTHING)
    assert {ground.holds for grade in found.values() for ground in grade.facts} == {None}
    assert (found["osaid"].outcome, found["plain"].outcome) == ("unknown", "unknown")
    assert (found["mof"].outcome, found["mof"].score, found["osai"].score) == ("Unclassified", 0, 0)
    assert all(grade.raised_by for grade in found.values())


def less(**components: Component) -> Disclosure:
    return replace(EVERYTHING, components={**EVERYTHING.components, **components})


class TestModelOpennessFramework:
    def test_the_paper_stands_in_for_the_report(self) -> None:
        grade = mof.grade(less(technical_report=Component(CLOSED)))
        assert grade.outcome == "Class I - Open Science Model"
        neither = mof.grade(less(technical_report=Component(CLOSED), research_paper=Component(CLOSED)))
        assert neither.outcome == "Unclassified"
        assert dict(neither.parts) == {"class_1": 0, "class_2": 0, "class_3": 5 / 6 * 100}

    def test_a_class_counts_only_where_those_below_are_complete(self) -> None:
        grade = mof.grade(less(training_code=Component(CLOSED)))
        assert grade.outcome == "Class III - Open Model"
        assert dict(grade.parts) == {"class_1": 0, "class_2": 90, "class_3": 100}
        assert grade.raised_by == ("Class II: Training code (missing)",)

    def test_own_licence_before_that_of_the_kind_before_that_of_all(self) -> None:
        some = Disclosure("some", licences={"distribution": "openrail", "code": "MIT"})
        code, card = Component(OPEN), Component(OPEN)
        assert mof.licence_of(some, code, "code") == "MIT"
        assert mof.licence_of(some, card, "document") == "openrail"
        assert mof.licence_of(some, Component(OPEN, ""), "code") == ""
        assert mof.licence_of(Disclosure("none"), code, "code") is None

    @pytest.mark.parametrize(("licence", "held"), [("MIT", True), ("openrail", False), ("", False), (None, None)])
    def test_what_a_licence_makes_of_a_component(self, licence: str | None, held: bool | None) -> None:
        grade = mof.grade(Disclosure("some", {"datasets": Component(OPEN, licence)}))
        assert next(one for one in grade.facts if one.what.startswith("Datasets")).holds is held

    def test_names_are_compared_as_asked(self) -> None:
        some = less(datasets=Component(OPEN, "mit"))
        assert mof.grade(some).outcome == "Class I - Open Science Model"
        assert mof.grade(some, exact=True).outcome == "Class II - Open Tooling Model"


class TestIndexes:
    def test_a_fine_tune_does_not_answer_for_its_base(self) -> None:
        tuned = less(base_datasets=Component(), base_parameters=Component(CLOSED))
        assert osai.grade(tuned).score == 10 / 12
        assert oucg.grade(tuned).score == 12

    def test_editions_of_the_european_index(self) -> None:
        no_package = less(package=Component(CLOSED), api=Component(PARTIAL))
        assert osai.grade(no_package).score == 1
        assert osai.grade(no_package, 14).score == 12.5 / 14

    def test_categories_have_their_own_means(self) -> None:
        answers = {"licenses": Answer(OPEN), "paper": Answer(PARTIAL), "trainingcode": Answer(CLOSED)}
        assert dict(osai.graded(answers).parts) == {"Availability": 0, "Documentation": 0.5 / 6, "Access": 1}

    def test_a_type_that_the_index_does_not_ask_about_has_no_score(self) -> None:
        grade = osai.graded({}, types=("robot",))
        assert (grade.score, grade.outcome) == (None, "not scored")

    def test_a_licence_that_osi_did_not_approve_is_no_open_licence_there(self) -> None:
        assert oucg.grade(less(datasets=Component(OPEN, "CC-BY-4.0"))).raised_by == ("Licence (partial now)",)


class TestOpenSourceDefinition:
    def test_documents_about_the_data_need_no_open_licence(self) -> None:
        assert osaid.grade(less(data_card=Component(OPEN, "unlicensed"))).outcome == "passed"

    def test_the_data_need_not_be_there(self) -> None:
        assert osaid.grade(less(datasets=Component(CLOSED))).outcome == "passed"

    def test_a_use_policy_fails_it(self) -> None:
        policy = {**EVERYTHING.told, "use_policy": Told("Not for weapons.", "card", OPEN)}
        grade = osaid.grade(replace(EVERYTHING, told=policy))
        assert (grade.outcome, grade.raised_by) == ("not passed", ("No use policy: any use is free",))

    @pytest.mark.parametrize("key", [*osaid.CODE, "parameters"])
    def test_code_and_parameters_need_an_approved_licence(self, key: str) -> None:
        assert osaid.grade(less(**{key: Component(OPEN, "openrail++")})).outcome == "unknown"
        assert osaid.grade(less(**{key: Component(OPEN, "CC-BY-NC-4.0")})).outcome == "not passed"
        assert osaid.grade(less(**{key: Component(CLOSED, "MIT")})).outcome == "not passed"

    @pytest.mark.parametrize("key", osaid.DATA_INFORMATION)
    def test_all_information_on_data_is_needed(self, key: str) -> None:
        told = {name: one for name, one in EVERYTHING.told.items() if name != key}
        assert osaid.grade(replace(EVERYTHING, told=told)).outcome == "unknown"
        part = replace(EVERYTHING, told={**told, key: Told("some", "", PARTIAL)})
        assert osaid.grade(part).outcome == "not passed"


class TestTransparency:
    def test_the_edition_of_which_more_is_met(self) -> None:
        of_2023 = dict.fromkeys(fmti.indicators("2023")["Model"], True)
        grade = fmti.grade(Disclosure("some", indicators={**of_2023, "Model cost": True, "Open weights": False}))
        assert (grade.score, grade.version) == (33, "FMTI-style, indicators of 2023")

    def test_both_editions_have_a_hundred(self) -> None:
        sizes = {e: [len(group) for group in fmti.indicators(e).values()] for e in fmti.EDITIONS}
        assert sizes == {"2023": [32, 33, 35], "2025": [34, 30, 36]}

    def test_names_of_other_files_of_the_index(self) -> None:
        assert fmti.indicator("Copyrighted data", "2023") == "Data copyright status"
        assert fmti.indicator("Model License", "2023") == "Model Asset License"
        assert fmti.indicator("Detection of machine-generated content", "2023") == "Machine-generated content"
        assert (
            fmti.indicator("Detection of machine-generated content", "2025") == "Detection of machine-generated content"
        )
        assert fmti.indicator("Shoe size", "2025") is None


class TestPlainWords:
    @pytest.mark.parametrize(
        ("weights", "word"),
        [
            (Component(CLOSED), "closed"),
            (Component(PARTIAL, "MIT"), "open access"),
            (Component(OPEN, "openrail"), "open access"),
            (Component(OPEN, "MIT"), "open source"),
            (Component(), "unknown"),
        ],
    )
    def test_words(self, weights: Component, word: str) -> None:
        assert plain.grade(less(parameters=weights)).outcome == word

    def test_what_is_missing_is_listed(self) -> None:
        some = less(datasets=Component(CLOSED), training_code=Component(), tokenizer=Component(OPEN, ""))
        assert plain.grade(some).raised_by == (
            "tokenizer: no licence",
            "training code: unknown",
            "training data: closed",
        )


@pytest.mark.parametrize(
    ("licence", "osi", "data", "tool"),
    [
        ("MIT", True, True, True),
        ("mit", True, True, True),
        ("MIT OR Unheard-1.0", True, True, True),
        ("MIT AND Unheard-1.0", None, None, False),
        ("MIT AND CC-BY-NC-4.0", False, False, False),
        ("(MIT OR Unheard-1.0) AND apache-2.0", True, True, True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True, True, True),
        ("Apache-2.0 WITH Commons-Clause", None, None, False),
        ("MIT WITH non-commercial", None, None, False),
        ("()", None, None, False),
        ("MIT AND ()", None, None, False),
        ("CC-BY-4.0", False, True, True),
        ("OpenMDW-1.0", False, True, True),
        ("curl", True, True, False),  # OSI-approved in SPDX's list since, and not in the tool's
        ("Apache 2.0", None, None, False),
        ("(MIT", None, None, False),
        ("MIT OR", None, None, False),
        ("unlicensed", False, False, False),
        ("", False, False, False),
    ],
)
def test_licences(licence: str, osi: bool | None, data: bool | None, tool: bool) -> None:
    assert osi_approved(licence) is osi
    assert open_data(licence) is data
    assert open_to_the_tool(licence, exact=False) is tool
