"""Verdicts: each rule of the walk, on the smallest lineage that shows it."""

from __future__ import annotations

import itertools
import json
import time
from datetime import date

import pytest

from intermodel.core import Invalid
from intermodel.records.facts import Kind
from intermodel.records.licences import LICENCES, Code, Licence
from intermodel.records.lineage import Edge, Graph, How, Node, Tenure
from intermodel.records.verdict import COUNTRIES, EU, Certainty, Outcome, Purpose, Verdict, decide, verdict
from intermodel.records.verdict.walk import Hold
from intermodel.records.verdict.weigh import Asked, Weight, weigh

ALLOW, DUTIES, REFUSE, UNKNOWN = Outcome.ALLOW, Outcome.DUTIES, Outcome.REFUSE, Outcome.UNKNOWN


def of(*nodes: Node, edges: tuple[tuple[str, str, How], ...] = ()) -> Graph:
    """A graph; an edge is (parent, child, how)."""
    return Graph({node.id: node for node in nodes}, tuple(Edge(*edge) for edge in edges))


def alone(licence: str | None, purpose: str = "commercial", place: str = "", **more: object) -> Verdict:
    return verdict(of(Node("it", licence=licence, **more)), "it", purpose, place)  # type: ignore[arg-type]


def upon(licence: str | None, how: How, purpose: str = "commercial", own: str = "cc0-1.0", place: str = "") -> Verdict:
    """Something under `own` that was made from something under `licence`."""
    graph = of(Node("it", licence=own), Node("base", licence=licence), edges=(("base", "it", how),))
    return verdict(graph, "it", purpose, place)


def pair(found: Verdict) -> tuple[Outcome, Outcome]:
    return found.strict.outcome, found.lenient.outcome


@pytest.mark.parametrize(
    ("licence", "purpose", "outcome"),
    [
        ("cc0-1.0", "commercial", ALLOW),
        ("mit", "commercial", DUTIES),
        ("cc-by-nc-4.0", "commercial", REFUSE),
        ("cc-by-nc-4.0", "research", DUTIES),
        ("cc-by-nc-4.0", "redistribute", DUTIES),
        ("cc-by-nc-4.0", "serve", DUTIES),
        ("llama1", "research", DUTIES),
        ("llama1", "redistribute", DUTIES),
        ("llama2", "train_on_outputs", REFUSE),
        ("llama3.1", "train_on_outputs", DUTIES),
        ("apache-2.0", "train_on_outputs", DUTIES),
        ("agpl-3.0", "serve", DUTIES),
        ("mistral-mnpl", "serve", REFUSE),
        ("unspecified", "research", REFUSE),
        ("openrail", "commercial", UNKNOWN),
        ("grok2-community", "commercial", UNKNOWN),
        ("who knows", "commercial", UNKNOWN),
        (None, "commercial", UNKNOWN),
        ("mit or who-knows", "commercial", DUTIES),
        ("mit and who-knows", "commercial", UNKNOWN),
        ("mit and cc-by-nc-4.0", "commercial", REFUSE),
        ("cc-by-nc-4.0 or cc0-1.0", "commercial", ALLOW),
    ],
)
def test_one_thing_alone(licence: str | None, purpose: str, outcome: Outcome) -> None:
    assert pair(alone(licence, purpose)) == (outcome, outcome)


def test_a_limit_that_nobody_read_keeps_it_from_being_a_yes() -> None:
    jamba = LICENCES["jamba-open"]
    assert jamba.fact("commercial").code is Code.CONDITIONAL
    assert jamba.fact("geo_limit").code is Code.UNKNOWN
    assert pair(alone("jamba-open")) == (UNKNOWN, UNKNOWN)


def test_a_claim_is_unverified_and_what_holds_comes_first() -> None:
    claimed = verdict(of(Node("it", declared="mit")), "it", "commercial")
    assert claimed.strict.certainty[0] is Certainty.UNVERIFIED
    both = verdict(of(Node("it", declared="mit", licence="cc-by-nc-4.0")), "it", "commercial")
    assert both.strict.outcome is REFUSE
    assert both.strict.certainty == (Certainty.LICENCE_TEXT,)


@pytest.mark.parametrize("how", [How.COPY, How.CONVERT, How.FINE_TUNE, How.ADAPTER, How.MERGE, How.QUANTISE, How.PRUNE])
def test_what_is_inside_binds_in_both_readings(how: How) -> None:
    assert pair(upon("cc-by-nc-4.0", how)) == (REFUSE, REFUSE)
    assert pair(upon(None, how)) == (UNKNOWN, UNKNOWN)
    assert pair(upon("apache-2.0", how)) == (DUTIES, DUTIES)


def test_training_data_bind_in_the_strict_reading_and_warn_in_the_other() -> None:
    found = upon("cc-by-nc-4.0", How.TRAINED_ON)
    assert pair(found) == (REFUSE, ALLOW)
    assert found.strict.certainty == (Certainty.CONTESTED,)
    assert "trained on base" in found.warnings[0]
    assert pair(upon(None, How.TRAINED_ON)) == (UNKNOWN, ALLOW)
    assert pair(upon("cdla-permissive-2.0", How.TRAINED_ON)) == (ALLOW, ALLOW), "its text sets results free"


def test_a_corpus_whose_terms_nobody_knows_warns() -> None:
    assert pair(upon("cc-by-nc-4.0", How.PRE_TRAINED_ON)) == (REFUSE, ALLOW)
    found = upon(None, How.PRE_TRAINED_ON)
    assert pair(found) == (ALLOW, ALLOW)
    assert found.warnings == ("pre-trained on base: its licence is not known",)
    assert found.unknown == ("base: its licence is not known",)


def test_evaluation_carries_nothing() -> None:
    assert pair(upon("cc-by-nc-4.0", How.EVALUATED_ON)) == (ALLOW, ALLOW)


@pytest.mark.parametrize(
    ("teacher", "strict", "lenient"),
    [
        ("llama2", REFUSE, REFUSE),  # 1b.v: outputs may not improve other models
        ("llama3.1", DUTIES, DUTIES),  # the name only
        ("gemma", DUTIES, DUTIES),  # a derivative: its terms go along
        ("llama1", REFUSE, REFUSE),  # 2a: data produced by the software
        ("mit", ALLOW, ALLOW),
        ("nvidia-open-model", ALLOW, ALLOW),
        ("cc-by-nc-4.0", ALLOW, ALLOW),  # says nothing of outputs
        ("tencent-hunyuan-community", REFUSE, REFUSE),
        ("glm-4", UNKNOWN, UNKNOWN),
        ("openai-terms-2023-03", REFUSE, ALLOW),  # a contract of the maker
        (None, UNKNOWN, UNKNOWN),
    ],
)
def test_distillation_goes_by_what_the_teacher_says(teacher: str | None, strict: Outcome, lenient: Outcome) -> None:
    assert pair(upon(teacher, How.DISTIL)) == (strict, lenient)


def test_the_name_goes_along_with_the_outputs_of_llama_3_1() -> None:
    found = upon("llama3.1", How.DISTIL)
    assert [duty.kind for duty in found.duties] == ["naming"]
    assert "“Llama”" in found.duties[0].words


def test_outputs_inside_training_data_bind_strictly_only() -> None:
    graph = of(
        Node("it", licence="cc0-1.0"), Node("data", licence="cc0-1.0", kind=Kind.DATASET),
        Node("llm", licence="llama2"),
        edges=(("data", "it", How.TRAINED_ON), ("llm", "data", How.OUTPUTS)),
    )  # fmt: skip
    assert pair(verdict(graph, "it", "commercial")) == (REFUSE, ALLOW)


def test_outputs_of_a_fine_tune_are_outputs_of_its_base() -> None:
    graph = of(
        Node("it", licence="cc0-1.0"), Node("tuned", licence="mit"), Node("base", licence="llama2"),
        edges=(("tuned", "it", How.DISTIL), ("base", "tuned", How.FINE_TUNE)),
    )  # fmt: skip
    assert pair(verdict(graph, "it", "commercial")) == (REFUSE, REFUSE)


def test_what_a_model_made_carries_its_use_limits() -> None:
    assert pair(upon("creativeml-openrail-m", How.OUTPUTS)) == (DUTIES, DUTIES)
    assert pair(upon("gpl-3.0", How.OUTPUTS)) == (ALLOW, ALLOW)
    assert pair(upon("llama1", How.OUTPUTS)) == (REFUSE, REFUSE)
    assert pair(upon("llama2", How.OUTPUTS, "train_on_outputs")) == (REFUSE, REFUSE)


def test_an_application_that_calls_a_service() -> None:
    found = upon("openai-terms-2024-12", How.USES)
    assert found.strict.outcome is DUTIES
    assert found.strict.certainty == (Certainty.CONTRACT,)
    assert upon("openai-terms-2024-12", How.USES, "redistribute").strict.outcome is DUTIES
    assert upon("anthropic-commercial", How.USES).strict.outcome is UNKNOWN


def test_changed_copies_of_what_may_not_be_changed_are_not_passed_on() -> None:
    assert upon("cc-by-nd-4.0", How.COPY, "redistribute").strict.outcome is DUTIES
    assert pair(upon("cc-by-nd-4.0", How.FINE_TUNE, "redistribute")) == (REFUSE, REFUSE)
    assert upon("cc-by-nd-4.0", How.FINE_TUNE, "commercial").strict.outcome is DUTIES


@pytest.mark.parametrize(
    ("licence", "place", "multimodal", "outcome"),
    [
        ("tencent-hunyuan-community", "DE", None, REFUSE),
        ("tencent-hunyuan-community", "EU", None, REFUSE),
        ("tencent-hunyuan-community", "GB", None, REFUSE),
        ("tencent-hunyuan-community", "kr", None, REFUSE),
        ("tencent-hunyuan-community", "US", None, DUTIES),
        ("tencent-hunyuan-community", "", None, DUTIES),
        ("llama3.2", "FR", None, UNKNOWN),
        ("llama3.2", "FR", True, REFUSE),
        ("llama3.2", "FR", False, DUTIES),
        ("llama3.2", "CH", True, DUTIES),
        ("llama4", "FR", None, REFUSE),
        ("llama3.3", "FR", None, DUTIES),
        ("llama3.1", "FR", True, DUTIES),
    ],
)
def test_places(licence: str, place: str, multimodal: bool | None, outcome: Outcome) -> None:
    assert alone(licence, place=place, multimodal=multimodal).strict.outcome is outcome


@pytest.mark.parametrize(
    ("licence", "base", "own", "outcome"),
    [
        ("llama4", None, False, REFUSE),
        ("llama3.2", None, False, UNKNOWN),
        ("llama3.2", True, False, REFUSE),
        ("llama3.2", False, None, DUTIES),
        ("llama3.3", None, None, DUTIES),
        ("llama3.3", None, True, REFUSE),
    ],
)
def test_a_child_may_not_weaken_the_limit_of_its_base(
    licence: str, base: bool | None, own: bool | None, outcome: Outcome
) -> None:
    nodes = (Node("it", licence="cc0-1.0", multimodal=own), Node("base", licence=licence, multimodal=base))
    found = verdict(of(*nodes, edges=(("base", "it", How.FINE_TUNE),)), "it", "commercial", "FR")
    assert found.strict.outcome is outcome


def test_a_country_that_is_left_out_leaves_the_union_unknown() -> None:
    assert "KR" not in EU
    assert len(EU) == 27
    assert EU < COUNTRIES


@pytest.mark.parametrize("place", ["UK", "XX", "Germany", "D", "EUR", "🇩🇪"])
def test_a_place_that_is_none(place: str) -> None:
    with pytest.raises(Invalid) as error:
        alone("mit", place=place)
    assert error.value.hint


def test_a_purpose_that_is_none() -> None:
    with pytest.raises(Invalid, match="no purpose"):
        alone("mit", "fun")
    assert alone("mit", "train-on-outputs").purpose is Purpose.TRAIN_ON_OUTPUTS


def test_limits_are_gathered() -> None:
    graph = of(
        Node("it", licence="mit"), Node("a", licence="llama3.1"), Node("b", licence="qwen"),
        Node("c", licence="tencent-hunyuan-community"), Node("d", licence="stability-community"),
        edges=tuple((one, "it", How.MERGE) for one in "abcd"),
    )  # fmt: skip
    found = verdict(graph, "it", "commercial", "US")
    assert found.scale == {"monthly_users": 1_000_000, "annual_revenue_usd": 1_000_000}
    assert found.excluded == ("EU", "GB", "KR")
    kinds = {duty.kind for duty in found.duties}
    assert kinds >= {"attribution", "notice", "naming", "acceptable-use", "scale", "region", "condition"}
    assert all(duty.source and duty.licence for duty in found.duties)


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        ("gpl-3.0", "bigscience-bloom-rail-1.0", True),
        ("gpl-3.0", "cc-by-nc-4.0", True),
        ("gpl-3.0", "llama2", True),
        ("gpl-3.0", "agpl-3.0", False),
        ("gpl-3.0", "cc-by-sa-4.0", False),
        ("gpl-3.0", "apache-2.0", False),
        ("gpl-2.0", "apache-2.0", True),
        ("gpl-2.0", "gpl-3.0", True),
        ("cc-by-sa-4.0", "cc-by-nc-sa-4.0", True),
        ("cc-by-nc-sa-4.0", "cc-by-nc-4.0", False),
        ("cc-by-sa-3.0", "cc-by-sa-4.0", False),
        ("mit", "llama2", False),
        ("odbl-1.0", "odbl-1.0", False),
    ],
)
def test_parents_in_conflict(one: str, other: str, conflict: bool) -> None:
    graph = of(
        Node("it", licence="mit"), Node("a", licence=one), Node("b", licence=other),
        edges=(("a", "it", How.MERGE), ("b", "it", How.MERGE)),
    )  # fmt: skip
    found = verdict(graph, "it", "redistribute")
    assert bool(found.conflicts) is conflict
    if conflict:
        assert pair(found) == (REFUSE, REFUSE)
        assert found.conflicts[0].source
    used = Graph(graph.nodes, tuple(Edge(edge.parent, edge.child, How.USES) for edge in graph.edges))
    assert not verdict(used, "it", "redistribute").conflicts


@pytest.mark.parametrize(
    ("own", "base", "how", "kinds"),
    [
        ("apache-2.0", "llama1", How.FINE_TUNE, {"wider", "drops-use-limits"}),
        ("apache-2.0", "llama3.1", How.FINE_TUNE, {"drops-use-limits"}),
        ("cc-by-4.0", "qwen-research", How.FINE_TUNE, {"wider"}),
        ("mit", "gpl-3.0", How.FINE_TUNE, {"drops-share-alike"}),
        ("gpl-3.0", "gpl-3.0", How.FINE_TUNE, set()),
        ("mit", "apache-2.0", How.FINE_TUNE, set()),
        ("mit", "cc-by-nc-4.0", How.TRAINED_ON, {"wider"}),
        ("mit", "openai-terms-2023-03", How.DISTIL, set()),
        ("mit", None, How.FINE_TUNE, set()),
        ("openrail", "llama1", How.FINE_TUNE, set()),
    ],
)
def test_a_tag_that_promises_too_much(own: str, base: str | None, how: How, kinds: set[str]) -> None:
    found = upon(base, how, own=own)
    assert {flag.kind for flag in found.flags} == kinds
    assert {flag.kind for flag in upon(base, how, "research", own).flags} == kinds, "whatever is asked"


def test_a_tag_is_held_against_the_text() -> None:
    found = verdict(of(Node("it", declared="mit", licence="cc-by-nc-4.0")), "it", "research")
    assert [flag.kind for flag in found.flags] == ["wider"]
    assert not verdict(of(Node("it", declared="mit", licence="apache-2.0")), "it", "research").flags


def test_days() -> None:
    assert verdict(of(Node("it", licence="qwen")), "it", "commercial", on=date(2024, 9, 19)).strict.outcome is DUTIES
    early = verdict(of(Node("it", licence="qwen")), "it", "commercial", on=date(2024, 9, 18))
    assert early.strict.outcome is UNKNOWN
    assert any("not there yet" in note for note in early.warnings)
    late = verdict(of(Node("it", licence="falcon-40b-tii-2023")), "it", "commercial", on=date(2024, 1, 1))
    assert any("withdrawn" in note for note in late.warnings)


def test_a_licence_that_changed() -> None:
    history = (Tenure("cc-by-nc-4.0", "2023-05", "2023-05-31"), Tenure("apache-2.0", "2023-06-01"))
    graph = of(Node("it", licence="apache-2.0", history=history))
    assert verdict(graph, "it", "commercial", on=date(2023, 5, 20)).strict.outcome is REFUSE
    assert verdict(graph, "it", "commercial", on=date(2023, 6, 1)).strict.outcome is DUTIES
    assert verdict(graph, "it", "commercial").strict.outcome is DUTIES
    assert verdict(of(Node("it", history=history)), "it", "commercial").strict.outcome is DUTIES
    ended = of(Node("it", history=history[:1]))
    assert verdict(ended, "it", "commercial").strict.outcome is UNKNOWN, "what followed is not known"


NC, FREE = "cc-by-nc-4.0", "apache-2.0"


@pytest.mark.parametrize(
    ("history", "day", "outcome"),
    [
        ((Tenure(FREE, "2023-06-01"),), date(2023, 5, 31), UNKNOWN),
        ((Tenure(FREE, "2023-06-01"),), date(2023, 6, 1), DUTIES),
        ((Tenure(NC, "2023", "2023-05"), Tenure(FREE, "2023-08")), date(2023, 6, 15), UNKNOWN),
        ((Tenure(NC, "2023", "2023-05"), Tenure(FREE, "2023-08")), date(2023, 5, 31), REFUSE),
        ((Tenure(FREE, "2023", "2023-05"),), date(2024, 1, 1), UNKNOWN),
        ((Tenure("", "2023"), Tenure(FREE, "2024")), date(2023, 6, 1), UNKNOWN),
        ((Tenure(FREE, "2022"), Tenure(NC, "2024")), date(2024, 6, 1), REFUSE),
        ((Tenure(FREE, "2022"), Tenure(NC, "2024")), date(2023, 6, 1), DUTIES),
        ((Tenure(FREE, "2022"), Tenure(NC, "2023", "2023")), date(2024, 6, 1), UNKNOWN),
        ((Tenure(FREE), Tenure(NC, "2024")), date(2023, 6, 1), UNKNOWN),
        ((Tenure(FREE), Tenure(NC)), date(2023, 6, 1), REFUSE),
        ((Tenure(FREE, "2022"), Tenure(NC)), date(2023, 6, 1), REFUSE),
        ((Tenure(NC, end="2023"), Tenure(FREE)), date(2024, 6, 1), DUTIES),
    ],
)
def test_a_day_that_the_history_leaves_out_is_unknown(history: tuple[Tenure, ...], day: date, outcome: Outcome) -> None:
    """Nor do the tag and the announcement of today answer for it."""
    node = Node("it", licence=history[-1].licence, declared="mit", announced=("commercial",), history=history)
    assert verdict(of(node), "it", "commercial", on=day).strict.outcome is outcome


def test_what_the_maker_announced() -> None:
    told = of(Node("it", announced=("commercial",), maker="Acme"))
    found = verdict(told, "it", "commercial")
    assert pair(found) == (DUTIES, DUTIES)
    assert found.strict.certainty == (Certainty.UNVERIFIED,)
    assert pair(verdict(told, "it", "serve")) == (UNKNOWN, UNKNOWN)


def test_circles_and_ends_that_are_nowhere() -> None:
    graph = of(
        Node("a", licence="mit"), Node("b", licence="apache-2.0"),
        edges=(("b", "a", How.FINE_TUNE), ("a", "b", How.TRAINED_ON), ("a", "a", How.MERGE)),
    )  # fmt: skip
    found = verdict(graph, "a", "commercial")
    assert found.strict.outcome is DUTIES
    assert any("leads back to itself" in note for note in found.warnings)
    assert upon("mit", How.MERGE).strict.outcome is DUTIES
    nowhere = verdict(of(Node("it", licence="mit"), edges=(("gone", "it", How.MERGE),)), "it", "commercial")
    assert nowhere.strict.outcome is UNKNOWN
    assert verdict(Graph(), "it", "commercial").strict.outcome is UNKNOWN


def test_ten_thousand_ancestors_are_walked_quickly() -> None:
    """The time is told and decides nothing but that it is no minute; one second on a quiet core."""
    count = 10_000
    nodes = {f"n{i}": Node(f"n{i}", licence=("mit", "llama3.1", f"tag-{i}")[i % 3]) for i in range(count)}
    chain = Graph(nodes, tuple(Edge(f"n{i + 1}", f"n{i}", How.FINE_TUNE) for i in range(count - 1)))
    began = time.perf_counter()
    found = verdict(chain, "n0", "commercial", "DE")
    assert time.perf_counter() - began < 30
    assert (found.walked, found.complete) == (count, True)
    assert found.strict.outcome is UNKNOWN
    assert len(json.dumps(found.document())) < 100_000


def test_a_lineage_beyond_all_measure_is_cut_and_never_a_yes() -> None:
    wide = [Edge(f"n{j}", f"n{i}", How.MERGE) for i in range(300) for j in range(300)]
    graph = Graph({f"n{i}": Node(f"n{i}", licence="mit") for i in range(300)}, tuple(wide))
    found = verdict(graph, "n0", "commercial")
    assert not found.complete
    assert pair(found) == (UNKNOWN, UNKNOWN)


def test_thousands_of_expressions_are_not_all_read() -> None:
    nodes = {f"n{i}": Node(f"n{i}", licence=" OR ".join(f"(MIT AND x{i}y{j})" for j in range(12))) for i in range(3000)}
    graph = Graph(nodes, tuple(Edge(f"n{i + 1}", f"n{i}", How.MERGE) for i in range(2999)))
    assert verdict(graph, "n0", "commercial").strict.outcome is UNKNOWN


def test_the_document_is_plain_json() -> None:
    found = upon("tencent-hunyuan-community", How.FINE_TUNE, "redistribute", "gpl-3.0", "DE")
    told = json.loads(json.dumps(found.document()))
    assert told["strict"]["outcome"] == "refuse"
    assert told["purpose"] == "redistribute"
    assert told["place"] == "DE"
    assert told["legal_advice"] is False
    assert {"reasons", "duties", "conflicts", "flags", "unknown", "warnings", "certainty", "rules"} <= set(told)
    assert next(one for one in told["reasons"] if one["way"])["way"][0] == {
        "child": "it",
        "how": "fine-tune",
        "parent": "base",
    }


def test_every_reason_cites_its_source() -> None:
    for licence in LICENCES.values():
        found = [alone(licence.id, purpose) for purpose in Purpose]
        found += [upon(licence.id, how) for how in How]
        for reason in (reason for one in found for reason in one.reasons):
            assert reason.source
            assert reason.words


def test_a_duty_is_a_sentence_with_its_section_and_who_must_heed_it() -> None:
    owed = {duty.words: duty for duty in alone("apache-2.0").duties}
    changed = owed["Say clearly that you changed it, in the files that you changed."]
    assert (changed.when, changed.section) == ("modify", "Apache License 2.0, section 4")
    assert changed.document()["code"] == "keep-notices + copy of licence + state changes"


def test_a_section_that_nobody_compared_says_so() -> None:
    found = alone("lgpl-2.1")
    assert {duty.section for duty in found.duties} == {"GNU LGPL v2.1, sections 2, 4, 6 (sections not checked)"}
    assert "(sections not checked)" in found.reasons[0].words


# What is shipped beside it


def shipping(part: str | None, purpose: str, own: str = "mit", **more: Node) -> Verdict:
    """Something under `own` that comes with a part under `part`."""
    graph = of(Node("it", licence=own), Node("part", licence=part), edges=(("part", "it", How.BUNDLES),))
    return verdict(graph, "it", purpose)


@pytest.mark.parametrize("purpose", [each for each in Purpose if each is not Purpose.REDISTRIBUTE])
@pytest.mark.parametrize("part", ["cc-by-nc-nd-4.0", "unspecified", None])
def test_a_part_beside_it_does_not_bind_its_use(purpose: Purpose, part: str | None) -> None:
    found = shipping(part, purpose)
    assert pair(found) == pair(alone("mit", purpose))
    assert found.duties == alone("mit", purpose).duties


def test_a_part_that_stands_against_a_use_warns() -> None:
    found = shipping("cc-by-nc-4.0", "commercial")
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("beside it ships part: CC BY-NC 4.0")
    assert found.warnings[0].endswith("commercial use is not allowed")
    assert shipping("apache-2.0", "commercial").warnings == ()


@pytest.mark.parametrize(
    ("part", "outcome"), [("mit", DUTIES), ("cc-by-nc-4.0", DUTIES), ("unspecified", REFUSE), (None, UNKNOWN)]
)
def test_a_part_beside_it_binds_who_hands_the_whole_on(part: str | None, outcome: Outcome) -> None:
    assert pair(shipping(part, "redistribute")) == (outcome, outcome)
    assert pair(shipping(part, "redistribute", own="cc0-1.0")) == (outcome, outcome)


def test_its_duties_are_those_of_the_whole_when_it_is_handed_on() -> None:
    found = shipping("apache-2.0", "redistribute", own="cc0-1.0")
    assert {duty.node for duty in found.duties} == {"part"}
    assert {duty.when for duty in found.duties} == {"redistribute"}
    assert all(duty.words.startswith("As to part, which ships beside it: ") for duty in found.duties)


def test_side_by_side_is_no_conflict_and_no_flag() -> None:
    inside = verdict(
        of(Node("it", licence="gpl-3.0"), Node("part", licence="cc-by-nc-4.0"), edges=(("part", "it", How.COPY),)),
        "it",
        "redistribute",
    )
    beside = shipping("cc-by-nc-4.0", "redistribute", own="gpl-3.0")
    assert inside.conflicts
    assert inside.strict.outcome is REFUSE
    assert (beside.conflicts, beside.flags, beside.strict.outcome) == ((), (), DUTIES)


def test_a_conflict_inside_a_part_counts_for_who_hands_it_on() -> None:
    graph = of(
        Node("it", licence="mit"), Node("part", licence="gpl-3.0"), Node("base", licence="cc-by-nc-4.0"),
        edges=(("part", "it", How.BUNDLES), ("base", "part", How.FINE_TUNE)),
    )  # fmt: skip
    found = verdict(graph, "it", "redistribute")
    assert found.strict.outcome is REFUSE
    assert found.conflicts
    way = next(reason for reason in found.reasons if reason.node == "base").way
    assert [step.how for step in way] == ["bundles", "fine-tune"]
    assert pair(verdict(graph, "it", "commercial")) == (DUTIES, DUTIES)


def test_what_a_base_ships_with_comes_along_and_what_is_called_ships_nothing() -> None:
    nodes = (Node("it", licence="mit"), Node("base", licence="mit"), Node("part", licence="unspecified"))
    for how, outcome in ((How.QUANTISE, REFUSE), (How.USES, DUTIES), (How.TRAINED_ON, DUTIES)):
        graph = of(*nodes, edges=(("base", "it", how), ("part", "base", How.BUNDLES)))
        assert verdict(graph, "it", "redistribute").strict.outcome is outcome


def test_parts_that_bundle_each_other_end() -> None:
    graph = of(
        Node("it", licence="mit"), Node("part", licence="mit"),
        edges=(("part", "it", How.BUNDLES), ("it", "part", How.BUNDLES), ("part", "part", How.BUNDLES)),
    )  # fmt: skip
    assert pair(verdict(graph, "it", "redistribute")) == (DUTIES, DUTIES)


@pytest.mark.parametrize("on", [None, date(2026, 1, 1)])
def test_of_many_under_one_licence_it_is_weighed_once(on: date | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """So what a lineage of hundreds costs is its walk, whether a day is asked for or not."""
    weighed: list[str] = []

    def counted(licence: Licence, hold: Hold, asked: Asked) -> Weight:
        weighed.append(licence.id)
        return weigh(licence, hold, asked)

    monkeypatch.setattr(decide, "weigh", counted)
    names = [f"m{number}" for number in range(50)]
    edges = tuple((above, below, How.FINE_TUNE) for above, below in itertools.pairwise(names))
    graph = of(*(Node(name, declared="apache-2.0") for name in names), edges=edges)
    assert pair(verdict(graph, names[-1], "commercial", "", on)) == (DUTIES, DUTIES)
    assert len(weighed) <= 3, "held, changed, and for the tag"
